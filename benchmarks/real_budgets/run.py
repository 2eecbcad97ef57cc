"""Does the search earn its budget? Whole searches on real data within minutes, against simpler ways to spend the time.

    python benchmarks/real_budgets/run.py [DATA SET ...] [--runs runs] [--minutes 10] [--seeds 1] [--searches cost_aware ...]

Searches: `cost_aware` (what ships), `portfolio` (its first candidates and nothing else), `random` and `tpe` (both begin with
the same first candidates), `no_rungs` (cost_aware with rungs off). For each it prints the test quality of the recommended
option, the best default with the paired difference, the hypervolume (of all searches of a data set in one box), the seconds
until the recommended option was first measured, the share of device time that gave nothing, the share of wall time after
the search, and what the final fit of the recommended option differs by from the best default. Finished runs are not
repeated; the data must lie in ../shared beside the checkout.
"""

import argparse
import csv
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from public_tasks import SHARED, write_task
from run_answers import Answers, paired_interval, score_of

from autoadapt.api.study import Study
from autoadapt.pareto.reference import reference_of

HERE = Path(__file__).parent
ROWS = {"trec6": 600, "banking77": 600, "sst2": 600, "medical_abstracts": 600, "sst2-120": 120}
SEARCHES: dict[str, list[str]] = {
    "cost_aware": [],
    "portfolio": ["search.sampler=random"],
    "random": ["search.sampler=random"],
    "tpe": ["search.sampler=tpe"],
    "no_rungs": ["search.rungs=false"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(ROWS))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--searches", nargs="+", default=list(SEARCHES), choices=list(SEARCHES))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="passed on to every search")
    parser.add_argument("--out", type=Path, default=HERE / "results.csv")
    args = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit("the public data is not beside this checkout (../shared)")
    lines = []
    for name in args.names:
        for seed in range(args.seeds):
            for search in args.searches:
                run(name, search, seed, args)
        lines += compared(name, args)
    with args.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    show(lines)


def folder(name: str, search: str, seed: int, args: argparse.Namespace) -> Path:
    return Path(args.runs) / f"{name}-{args.minutes:g}m-{search}-{seed}"


def run(name: str, search: str, seed: int, args: argparse.Namespace) -> None:
    """One search, resumed where it was begun."""
    root = folder(name, search, seed, args)
    task = args.runs / f"{root.name}.yaml"
    write_task(task, name, ROWS[name], args.minutes, seed=seed)
    command = [sys.executable, "-m", "autoadapt", "search", str(task), "--runs", str(args.runs)]
    changes = list(SEARCHES[search])
    if search == "portfolio":  # as many trials as there are first candidates, which are tried first
        changes.append(f"budget.trials={first_candidates(task)}")
    changes += args.set
    subprocess.run([*command, *(part for change in changes for part in ("--set", change))], check=False)


def first_candidates(task: Path) -> int:
    """How many candidates of a task come first, those of the floor apart, which do not count as trials."""
    from autoadapt.shelves import METHODS
    from autoadapt.tasks.resolve import resolve

    return sum(not METHODS.get(str(one["method"])).floor for one in resolve(task).space.first())


def compared(name: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """What every search of a data set gave."""
    lines = []
    for seed in range(args.seeds):
        roots = {s: folder(name, s, seed, args) for s in args.searches}
        studies = {s: Study.load(root) for s, root in roots.items() if (root / "results.json").is_file()}
        everything = [row for study in studies.values() for row in study.rows]
        for search, study in studies.items():
            box = reference_of(everything, study.goals)
            lines.append({"data": name, "seed": seed, "search": search, **figures(study, study.hypervolume(box))})
            lines[-1] |= qualities(study, roots[search])
    return lines


def figures(study: Study, hypervolume: float) -> dict[str, Any]:
    results = study.results
    advice, spent = results.recommendation, results.spent
    chosen = study.option(advice.trial)
    rows = {row.trial: row for row in study.rows}
    parts = [chosen.cascade.first, chosen.cascade.second] if chosen and chosen.cascade else [advice.trial]
    begun = min(moment(row.begun) for row in rows.values() if row.begun)
    reached = max(moment(rows[part].ended) for part in parts if part in rows and rows[part].ended)
    ended = max(moment(row.ended) for row in rows.values() if row.ended)
    return {
        "recommended": "" if chosen is None else f"{chosen.method} {chosen.test_quality:.4f}",
        "hypervolume": f"{hypervolume:.4f}",
        "reached_seconds": f"{reached - begun:.0f}",
        "trials": spent.trials,
        "lost_share": f"{spent.lost_seconds / spent.device_seconds:.3f}",
        "end_share": f"{1 - (ended - begun) / spent.wall_seconds:.3f}",
    }


def qualities(study: Study, root: Path) -> dict[str, str]:
    """Test quality of the best default, and what the advice and its final fit differ from it by, in points."""
    answers, score, verdict = Answers(root), score_of(root), study.verdict
    found = {"default": "", "gain": "", "final_fit": "", "gain_of_final_fit": ""}
    default = None if verdict is None or verdict.gain is None else verdict.gain.defaults.best
    advised = study.recommendation.trial
    if verdict is None or default is None or advised is None:
        return found
    try:
        before = answers.of(default)
    except FileNotFoundError:  # the end of the search had no time to score it
        return found | {"default": "not scored"}
    expected = answers.expected[: len(before)]
    found["default"] = f"{score(before, expected):.4f}"
    options = {"gain": answers.of(advised)}
    if verdict.final_fit is not None:
        options["gain_of_final_fit"] = answers.of_final_fit()
        found["final_fit"] = f"{verdict.final_fit.quality:.4f}"
    for name, after in options.items():
        low, high = paired_interval(after, before, expected, score)
        difference = score(after, expected) - score(before, expected)
        found[name] = f"{100 * difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
    return found


def moment(text: str | None) -> float:
    return datetime.fromisoformat(str(text)).timestamp()


def show(lines: Iterable[dict[str, Any]]) -> None:
    for i, line in enumerate(lines):
        if i == 0:
            print("| " + " | ".join(line) + " |\n|" + "---|" * len(line))
        print("| " + " | ".join(str(value) for value in line.values()) + " |")


if __name__ == "__main__":
    main()
