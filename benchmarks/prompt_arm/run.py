"""What searching prompts gains: the best prompt against the zero-shot prompt that a search begins with, and the floor.

    python benchmarks/prompt_arm/run.py [DATA SET ...] [--runs runs] [--model NAME] [--minutes 5] [--rows 500]
        [--test-rows 300] [--set KEY=VALUE ...]

Whole searches of prompts alone, on one slot. For each it prints how many prompts were tried, and in full, and test qualities
of the zero-shot prompt, of the prompt that is best on validation rows, and of the best simple method, the differences in
points with their 95 % intervals (a bootstrap over the test rows that both answered), and what the best prompt is made of. An
option that the search has not scored on test rows, because another one dominates it, is scored here. A search of prompts
ends where none is expected to be worth its cost beside a simple method; `--set search.least_gain=0` lets it go on. Finished
runs are not repeated; the data must lie in ../shared beside the checkout.
"""

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from public_tasks import SHARED, write_task
from run_answers import Answers, Score, paired_interval, read, score_of

from autoadapt.api.study import Study
from autoadapt.domain.candidate import params_line
from autoadapt.domain.jobs import Devices
from autoadapt.worker.artifacts import load_artifact
from autoadapt.worker.workshop import Workshop

DATA = ("sst2", "trec6", "medical_abstracts", "banking77")
HEAD = (
    "data",
    "prompts tried",
    "in full",
    "zero-shot",
    "best prompt",
    "gain",
    "floor",
    "best prompt minus floor",
    "best prompt",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=DATA)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--model", default=str(SHARED.parent / "models" / "minilm-causal"))
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--test-rows", type=int, default=300)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    for name in args.data:
        search(name, args)
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for name in args.data:
        print("| " + " | ".join(line(name, folder(name, args), args.test_rows)) + " |")


def folder(name: str, args: argparse.Namespace) -> Path:
    return Path(args.runs) / f"prompts-{Path(args.model).name}-{name}-{args.minutes:g}m"


def search(name: str, args: argparse.Namespace) -> None:
    """One search, resumed where it was begun."""
    task = args.runs / f"{folder(name, args).name}.yaml"
    write_task(task, name, args.rows, args.minutes, models=f"[{args.model}]")
    changes = ["methods=[prompt]", "compute.slots=1", *args.set]
    command = [sys.executable, "-m", "autoadapt", "search", str(task), "--runs", str(args.runs)]
    subprocess.run([*command, *(part for change in changes for part in ("--set", change))], check=False)


def line(name: str, root: Path, count: int) -> list[str]:
    """A row of the table."""
    study, score = Study.load(root), score_of(root)
    measured = [row for row in study.rows if row.state == "complete" and row.quality is not None]
    prompts = [row for row in measured if row.method == "prompt"]
    simple = [row for row in measured if row.model == "classical"]
    start = next((row for row in prompts if not row.params["shots"]), None)
    if start is None:
        return [name, "the zero-shot prompt was not measured", *[""] * (len(HEAD) - 2)]
    tried = sum(row.method == "prompt" for row in study.rows)
    best, floor = (max(rows, key=lambda row: row.quality or 0.0) for rows in (prompts, simple))
    expected = Answers(root).expected[:count]
    first, chosen, other = (answered(root, row.trial, count) for row in (start, best, floor))
    return [
        name,
        str(tried),
        str(len(prompts)),
        f"{score(first, expected):.3f}",
        f"{score(chosen, expected):.3f}",
        apart(chosen, first, expected, score),
        f"{score(other, expected):.3f} {floor.method}",
        apart(chosen, other, expected, score),
        params_line(best.params),
    ]


def answered(root: Path, trial: int, count: int) -> list[str]:
    """What an option answers to the first test rows: as the search has asked it, or now."""
    if (root / "trials" / f"{trial:04d}" / "predictions-test.jsonl").exists():
        answers = Answers(root).of(trial)
        if len(answers) >= count:
            return answers[:count]
    devices = Devices(kind="cpu", count=1, accelerator="cpu", threads=1)
    adapted = load_artifact(root / "trials" / f"{trial:04d}" / "artifact", Workshop(), devices, lambda: None)
    try:
        inputs = [row["input"] for row in read(root / "data" / "test.jsonl")[:count]]
        adapted.prepare(inputs)
        return [answer.text for answer in adapted.answer(inputs)]
    finally:
        adapted.close()


def apart(first: list[str], second: list[str], expected: list[str], score: Score) -> str:
    """How much better the first answers are, in points."""
    low, high = paired_interval(first, second, expected, score)
    gain = score(first, expected) - score(second, expected)
    return f"{100 * gain:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


if __name__ == "__main__":
    main()
