"""Do entries of the prompt library help or harm the prompt arm of the default space?

    python benchmarks/prompt_library/measure.py answer --model smollm2 --data sst2 [--rows 60 120]
        [--instructions none options] [--shots 0] --out FOLDER
    python benchmarks/prompt_library/measure.py compare FOLDER

`answer` asks a model with every template and instruction of search_spaces/joint.yaml and with every entry of the library
for classification, without examples and with four balanced ones, and scores labels by `sum` and `calibrated`. `compare`
draws candidates as the spaces would, with and without the entries, keeps the one that is best on validation rows (ties:
the first drawn), and reports its accuracy on test rows, as the mean over many draws.
"""

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np

from autoadapt.domain.method import Decoding
from autoadapt.domain.rows import Row
from autoadapt.model_files import find_model
from autoadapt.models.causal_lm import language_model
from autoadapt.models.causal_lm.answering import Answerer
from autoadapt.models.causal_lm.encoding import Encoder
from autoadapt.prompts.rendering import Prompt
from autoadapt.tasks.prompt_library import PromptLibrary
from autoadapt.tasks.space import load_space

HERE = Path(__file__).parent
NO_CONTENT = "N/A"
TRIALS = (4, 8, 16, 32)
DRAWS = 4000


def prompts(instructions: list[str]) -> dict[str, tuple[str, str]]:
    """Template and instruction by name: TEMPLATE/INSTRUCTION of the space, the id of an entry."""
    space = load_space("joint", HERE)
    pairs = {f"{t}/{i}": (a, space.instructions[i]) for t, a in space.templates.items() for i in instructions}
    entries = [stored.entry for stored in PromptLibrary().matching("classify-*")]
    return pairs | {entry.id: (entry.bound_template, entry.bound_instruction) for entry in entries}


def read(shared: Path, name: str, split: str, count: int) -> list[tuple[str, str]]:
    lines = (shared / f"data/{name}/{split}.jsonl").read_text().splitlines()
    rows = [(row["text"], str(row["label"])) for row in map(json.loads, lines)]
    return random.Random(7).sample(rows, count)


def balanced(train: list[tuple[str, str]], labels: list[str], shots: int) -> list[Row]:
    chosen: list[tuple[str, str]] = []
    while len(chosen) < shots:
        label = labels[len(chosen) % len(labels)]
        chosen.append(next(row for row in train if row[1] == label and row not in chosen))
    return [Row(id=i, input=text, outputs=[label]) for i, (text, label) in enumerate(chosen)]


def answer(args: argparse.Namespace) -> None:
    validation, test = (
        read(args.shared, args.data, s, n) for s, n in zip(("validation", "test"), args.rows, strict=True)
    )
    train = read(args.shared, args.data, "train", 400)
    labels = sorted({label for _, label in train})
    lm = language_model.load(str(find_model(args.model, Path(), download=False)), "cpu")
    rows = [*validation, *test]
    right, seconds = {}, {}
    for name, (template, instruction) in prompts(args.instructions).items():
        for shots in args.shots:
            examples = balanced(train, labels, shots)
            select = (lambda _, shown=examples: shown) if shots else None
            encoder = Encoder(lm, Prompt(template, instruction, labels), select, 16, False)
            answerer = Answerer(lm, encoder, labels, decoding=Decoding(label_score="sum"))
            inputs = [text for text, _ in rows] + [NO_CONTENT]
            begun = time.perf_counter()
            answerer.prepare(inputs)
            scores = np.array([one.log_probs for one in answerer.answer(inputs)])
            seconds[f"{name} {shots}"] = (time.perf_counter() - begun) / len(rows)
            # a constant that is the same for all labels of a row changes no choice, so that the scores of both ways are here
            for way, adjusted in (("sum", scores[:-1]), ("calibrated", scores[:-1] - scores[-1])):
                chosen = [labels[i] for i in adjusted.argmax(1)]
                right[f"{name} {shots} {way}"] = [int(c == y) for c, (_, y) in zip(chosen, rows, strict=True)]
            print(
                name,
                shots,
                *(f"{np.mean(right[f'{name} {shots} {w}']):.3f}" for w in ("sum", "calibrated")),
                flush=True,
            )
        write(args, len(validation), right, seconds)  # after each prompt, so that a run that is ended says something


def write(args: argparse.Namespace, validation: int, right: dict, seconds: dict) -> None:
    name = Path(args.model).name
    content = {"model": name, "data": args.data, "validation": validation, "right": right, "seconds": seconds}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / f"{name}-{args.data}.json").write_text(json.dumps(content))


class Table:
    """What a model answered right: candidates as rows of arrays, validation and test apart."""

    def __init__(self, content: dict) -> None:
        self.title = f"{content['model']}, {content['data']}"
        rows = content["validation"]
        self.validation = {key: np.array(bits[:rows]) for key, bits in content["right"].items()}
        self.test = {key: np.array(bits[rows:]) for key, bits in content["right"].items()}
        names = sorted({key.split(" ")[0] for key in content["right"]})
        self.shots = sorted({key.split(" ")[1] for key in content["right"]})
        self.own = [name for name in names if "/" in name]
        self.entries = [name for name in names if "/" not in name]

    def draw(self, rng: random.Random, entries: list[str]) -> str:
        """A candidate as the space draws it: template, then instruction where the template has none of its own."""
        templates = sorted({name.split("/")[0] for name in self.own})
        name = rng.choice([*templates, *entries])
        if name in templates:
            name = rng.choice([one for one in self.own if one.startswith(f"{name}/")])
        return f"{name} {rng.choice(self.shots)} {rng.choice(('sum', 'calibrated'))}"

    def best(self, rng: random.Random, entries: list[str], trials: int) -> str:
        drawn = list(dict.fromkeys(self.draw(rng, entries) for _ in range(trials)))
        return max(drawn, key=lambda key: self.validation[key].mean())

    def found(self, entries: list[str], trials: int) -> np.ndarray:
        """Share of draws in which each test row is answered right by the candidate kept."""
        rng = random.Random(trials)
        return np.mean([self.test[self.best(rng, entries, trials)] for _ in range(DRAWS)], axis=0)


def compare(args: argparse.Namespace) -> None:
    tables = [Table(json.loads(path.read_text())) for path in sorted(args.folder.glob("*.json"))]
    for table in tables:
        print(f"\n{table.title}: {len(next(iter(table.validation.values())))} validation rows, "
              f"{len(next(iter(table.test.values())))} test rows")  # fmt: skip
        for title, names in (("space", table.own), ("library", table.entries)):
            keys = [key for key in table.test if key.split(" ")[0] in names]
            means = np.array([table.test[key].mean() for key in keys])
            print(f"  {title}: {len(keys)} candidates, test accuracy mean {means.mean():.3f}, best {means.max():.3f}")
        for trials in TRIALS:
            without, with_all = table.found([], trials), table.found(table.entries, trials)
            gain = with_all - without
            resampled = np.random.default_rng(0).choice(gain, (2000, len(gain))).mean(1)
            low, high = np.quantile(resampled, (0.025, 0.975))
            print(f"  {trials:2d} trials: without {without.mean():.3f}, with {with_all.mean():.3f}, "
                  f"difference {gain.mean():+.3f} [{low:+.3f}, {high:+.3f}]")  # fmt: skip
    print(
        "\nEach entry: mean over data and models of (its test accuracy less the mean of the space's), shots and scores averaged"
    )
    for entry in tables[0].entries:
        gains = []
        for table in tables:
            own = np.mean([bits.mean() for key, bits in table.test.items() if key.split(" ")[0] in table.own])
            gains.append(np.mean([bits.mean() for key, bits in table.test.items() if key.split(" ")[0] == entry]) - own)
        print(f"  {entry:22s} {np.mean(gains):+.3f}  ({', '.join(f'{gain:+.3f}' for gain in gains)})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(required=True)
    one = parts.add_parser("answer")
    one.add_argument("--model", required=True)
    one.add_argument("--data", required=True)
    one.add_argument("--rows", type=int, nargs=2, default=[60, 120])
    one.add_argument("--instructions", nargs="+", default=["none", "short", "options", "choose"])
    one.add_argument("--shots", type=int, nargs="+", default=[0, 4])
    one.add_argument("--shared", type=Path, default=Path("../shared"))
    one.add_argument("--out", type=Path, required=True)
    one.set_defaults(run=answer)
    two = parts.add_parser("compare")
    two.add_argument("folder", type=Path)
    two.set_defaults(run=compare)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
