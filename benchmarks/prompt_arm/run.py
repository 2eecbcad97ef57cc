"""What searching prompts gains: the best prompt against the zero-shot prompt that a search begins with, and the floor.

    python benchmarks/prompt_arm/run.py [DATA SET ...] [--runs runs] [--model NAME] [--minutes 5] [--rows 500] [--set KEY=VALUE ...]

Whole searches of prompts alone, on one slot. For each it prints test qualities of the zero-shot prompt, of the prompt that
is best on validation rows, and of the best simple method, the differences in points with their 95 % intervals (a bootstrap
over the test rows that both answered), and what the best prompt is made of. Finished runs are not repeated; the data must lie in ../shared
beside the checkout.
"""

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from public_tasks import SHARED, write_task
from run_answers import Answers, Score, paired_interval, score_of

from autoadapt.api.study import Study
from autoadapt.domain.candidate import params_line
from autoadapt.domain.option import Option

DATA = ("sst2", "trec6", "medical_abstracts", "banking77")
HEAD = ("data", "prompts", "zero-shot", "best prompt", "gain", "floor", "best prompt minus floor", "best prompt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=DATA)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--model", default=str(SHARED.parent / "models" / "minilm-causal"))
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    for name in args.data:
        search(name, args)
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for name in args.data:
        print("| " + " | ".join(line(name, folder(name, args))) + " |")


def folder(name: str, args: argparse.Namespace) -> Path:
    return Path(args.runs) / f"prompts-{Path(args.model).name}-{name}-{args.minutes:g}m"


def search(name: str, args: argparse.Namespace) -> None:
    """One search, resumed where it was begun."""
    task = args.runs / f"{folder(name, args).name}.yaml"
    write_task(task, name, args.rows, args.minutes, models=f"[{args.model}]")
    changes = ["methods=[prompt]", "compute.slots=1", *args.set]
    command = [sys.executable, "-m", "autoadapt", "search", str(task), "--runs", str(args.runs)]
    subprocess.run([*command, *(part for change in changes for part in ("--set", change))], check=False)


def line(name: str, root: Path) -> list[str]:
    """A row of the table."""
    study, score = Study.load(root), score_of(root)
    scored = [option for option in study.options if option.test_quality is not None and option.cascade is None]
    prompts = [option for option in scored if option.method == "prompt"]
    simple = [option for option in scored if option.model == "classical"]
    start = next((one for one in prompts if one.trial == study.recommendation.baseline), None)
    if start is None:
        return [name, "the zero-shot prompt was not scored", *[""] * (len(HEAD) - 2)]
    best, answers = max(prompts, key=lambda one: one.quality), Answers(root)
    tried = sum(row.method == "prompt" for row in study.rows)
    cells = [
        name,
        str(tried),
        f"{start.test_quality:.3f}",
        f"{best.test_quality:.3f}",
        apart(best, start, answers, score),
    ]
    if simple:
        floor = max(simple, key=lambda one: one.quality)
        cells += [f"{floor.test_quality:.3f} {floor.method}", apart(best, floor, answers, score)]
    else:
        cells += ["not scored", ""]
    return [*cells, params_line(best.params)]


def apart(one: Option, other: Option, answers: Answers, score: Score) -> str:
    """How much better one option is than another, in points."""
    first, second = answers.of(one.trial), answers.of(other.trial)
    count = min(len(first), len(second))
    first, second, expected = first[:count], second[:count], answers.expected[:count]
    low, high = paired_interval(first, second, expected, score)
    gain = score(first, expected) - score(second, expected)
    return f"{100 * gain:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


if __name__ == "__main__":
    main()
