"""What the embedded model can do: prompts, examples, LoRA and full tuning on tasks it never saw in training.

    python benchmarks/embedded_model/evaluate.py [--model embedded] [--shared ../shared] [--part 1 2 3 4]

Part 1: zero-shot with the labels listed. Part 2: eight examples with labels never seen in training, against none.
Part 3: every prompt of the bundled library (search_spaces/joint.yaml, zero-shot) on the example task and on a held-out
one: the best, chosen on other rows, against the median. Part 4: AutoAdapt itself on the example task, 300 training and
300 test rows: the best prompt, LoRA and full tuning that a small search finds. Intervals are 95 % Wilson.

Held-out tasks (banking77, trec6, sst2, medical_abstracts) come from the shared data sets' test splits, examples from
their train splits; training reads neither. Prompts are fixed beforehand: template `plain`, instruction `options`, score
`sum`. banking77 is asked in groups of labels drawn with a fixed seed.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import lexicon
from episodes import read_jsonl
from scipy.stats import binomtest

from autoadapt.domain.rows import Row
from autoadapt.model_files import find_model
from autoadapt.models.causal_lm import language_model
from autoadapt.models.causal_lm.answering import Answerer
from autoadapt.models.causal_lm.encoding import Encoder
from autoadapt.prompts.rendering import Prompt
from autoadapt.tasks.space import load_space
from autoadapt.tasks.starting import example_folder

HERE = Path(__file__).parent
ROWS = 400
SPACE = load_space("joint", HERE)


def share(right: int, n: int) -> str:
    ci = binomtest(right, n).proportion_ci(method="wilson")
    return f"{right / n:.3f} [{ci.low:.3f}-{ci.high:.3f}] n={n}"


def answers(
    lm, labels: list[str], inputs: list[str], *, template="plain", instruction="options",
    select: Callable[[str], list[Row]] | None = None, score="sum",
) -> list[str]:  # fmt: skip
    prompt = Prompt(SPACE.templates[template], SPACE.instructions[instruction], labels)
    answerer = Answerer(lm, Encoder(lm, prompt, select, 16, False), labels, label_score=score)
    answerer.prepare(inputs)
    return [a.text for a in answerer.answer(inputs)]


def data(shared: Path, name: str, split: str) -> list[tuple[str, str]]:
    rows = read_jsonl(shared / f"data/{name}/{split}.jsonl")
    return [(" ".join(r["text"].split()[:120]), r["label"]) for r in rows]


def groups(shared: Path, name: str, ways: int, r: random.Random, n: int):
    """Yields (labels, test rows of those labels) until there are `n` rows."""
    by_label: dict[str, list[str]] = {}
    for text, label in data(shared, name, "test"):
        by_label.setdefault(label, []).append(text)
    names, left, each = sorted(by_label), n, min(n, 40)
    while left > 0:
        labels = r.sample(names, min(ways, len(names)))
        size = min(left, each if len(names) > ways else n)
        pool = [(t, x) for x in labels for t in by_label[x]]
        yield labels, r.sample(pool, min(size, len(pool)))
        left -= size


def part1(lm, shared: Path) -> None:
    print("\n1. zero-shot, labels listed, template plain, instruction options")
    for name, ways in (("banking77", 4), ("banking77", 8), ("trec6", 6), ("medical_abstracts", 5), ("sst2", 2)):
        r = random.Random(1)
        right = n = 0
        for labels, rows in groups(shared, name, ways, r, ROWS):
            got = answers(lm, labels, [t for t, _ in rows])
            right += sum(g == y for g, (_, y) in zip(got, rows, strict=True))
            n += len(rows)
        print(f"  {name}, {ways} labels: chance {1 / ways:.3f}, accuracy {share(right, n)}", flush=True)
    rows = read_jsonl(example_folder() / "messages.jsonl")
    labels = sorted({r["label"] for r in rows})
    got = answers(lm, labels, [r["text"] for r in rows])
    right = sum(g == row["label"] for g, row in zip(got, rows, strict=True))
    print(
        f"  the example, {len(labels)} labels: chance {1 / len(labels):.3f}, accuracy {share(right, len(rows))}",
        flush=True,
    )


def part2(lm, shared: Path) -> None:
    print("\n2. labels replaced by words never used as labels in training; 8 examples, each label equally often")
    for name, ways in (("banking77", 4), ("banking77", 2), ("trec6", 4), ("medical_abstracts", 4), ("sst2", 2)):
        train: dict[str, list[str]] = {}
        for text, label in data(shared, name, "train"):
            train.setdefault(label, []).append(" ".join(text.split()[:30]))
        found = {0: 0, 8: 0}
        n = 0
        r = random.Random(2)
        for labels, rows in groups(shared, name, ways, r, 20 * (ROWS // 20)):
            for start in range(0, len(rows), 10):  # new words and new examples for every ten queries
                part = rows[start : start + 10]
                words = dict(zip(labels, r.sample(lexicon.HELD_OUT_LABELS, len(labels)), strict=True))
                shown = [(t, x) for x in labels for t in r.sample(train[x], 8 // len(labels))]
                r.shuffle(shown)
                examples = [Row(id=i, input=t, outputs=[words[x]]) for i, (t, x) in enumerate(shown)]
                texts = [" ".join(t.split()[:30]) for t, _ in part]
                for shots in (0, 8):
                    select = (lambda _, examples=examples: examples) if shots else None
                    got = answers(lm, list(words.values()), texts, instruction="none", select=select)
                    found[shots] += sum(g == words[y] for g, (_, y) in zip(got, part, strict=True))
                n += len(part)
        gain = (found[8] - found[0]) / n
        print(
            f"  {name}, {ways} labels: 0 shots {share(found[0], n)}, 8 shots {share(found[8], n)}, gain {gain:+.3f}",
            flush=True,
        )


def part3(lm, shared: Path) -> None:
    print("\n3. the bundled library, zero-shot, scores sum and calibrated: best (chosen on other rows) against median")
    example = [(r["text"], r["label"]) for r in read_jsonl(example_folder() / "messages.jsonl")]
    for name, rows in (
        ("the example", example),
        ("trec6", data(shared, "trec6", "test")[:300] + data(shared, "trec6", "validation")[:300]),
    ):
        rows = random.Random(3).sample(rows, len(rows))
        labels = sorted({y for _, y in rows})
        half = len(rows) // 2
        table = {}
        for template in SPACE.templates:
            for instruction in SPACE.instructions:
                for score in ("sum", "calibrated"):
                    got = answers(
                        lm, labels, [t for t, _ in rows], template=template, instruction=instruction, score=score
                    )
                    right = [g == y for g, (_, y) in zip(got, rows, strict=True)]
                    table[template, instruction, score] = sum(right[:half]), sum(right[half:])
        best = max(table, key=lambda k: table[k][0])
        median = statistics.median(v[1] for v in table.values())
        n = len(rows) - half
        print(f"  {name}: {len(table)} prompts, best {'/'.join(best)} {share(table[best][1], n)}, median {share(round(median), n)}, "
              f"worst {share(min(v[1] for v in table.values()), n)}, gain {(table[best][1] - median) / n:+.3f}", flush=True)  # fmt: skip


def part4(model: str) -> None:
    print("\n4. the example task by AutoAdapt: 300 training, 80 validation, 300 test rows; 12 trials of each method")
    rows = read_jsonl(example_folder() / "messages.jsonl")
    random.Random(4).shuffle(rows)
    folder = Path(tempfile.mkdtemp(prefix="autoadapt-evaluate-"))
    for name, part in (("train", rows[:300]), ("validation", rows[300:380]), ("test", rows[380:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in part))
    for method in ("prompt", "lora", "full"):
        task = {
            "name": method, "metric": "accuracy", "models": [model], "methods": [method], "search_space": "quick",
            "data": {"train": "train.jsonl", "validation": "validation.jsonl", "test": "test.jsonl",
                     "columns": {"input": "text", "output": "label"}},
            "budget": {"trials": 12}, "economics": {"usd_per_hour": 0.1}, "evaluation": {"rows": 80, "test_rows": 300},
        }  # fmt: skip
        (folder / f"{method}.yaml").write_text(json.dumps(task))
        command = [sys.executable, "-m", "autoadapt.cli.main", "search", f"{method}.yaml"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if not (folder / f"runs/{method}/results.json").exists():
            sys.exit(done.stderr)
        results = json.loads((folder / f"runs/{method}/results.json").read_text())
        best = max(results["options"], key=lambda o: o["quality"])
        spent = results["spent"]["wall_seconds"]
        low, high = best["test_quality_ci"]
        print(
            f"  {method}: best on validation {best['quality']:.3f}; on test {best['test_quality']:.3f} [{low:.3f}-{high:.3f}] n=300; {spent:.0f} s",
            flush=True,
        )


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--model", default="embedded")
    ap.add_argument("--shared", type=Path, default=Path("../shared"))
    ap.add_argument("--part", type=int, nargs="+", default=[1, 2, 3, 4])
    args = ap.parse_args()
    folder = find_model(args.model, Path(), download=False)
    lm = language_model.load(str(folder), "cpu")
    print(f"{folder.name}: {lm.parameters / 1e6:.1f}M parameters")
    for part, run in ((1, part1), (2, part2), (3, part3)):
        if part in args.part:
            run(lm, args.shared)
    if 4 in args.part:
        part4(str(folder))


if __name__ == "__main__":
    main()
