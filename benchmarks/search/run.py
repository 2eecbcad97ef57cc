"""Which search reaches the frontier for the least money? Every search on every problem, side by side, in virtual time.

    pip install -r benchmarks/search/requirements.txt
    python benchmarks/search/run.py --seeds 10 --jobs 2 --out benchmarks/search/results.csv --plot hypervolume.svg

Measured at 13 shares of the budget, from 3 to 100 %: the hypervolume (quality, log cost, log latency) of the TRUE values
of the frontier that the search would report then, as a share of what is attainable. The area is its mean over the
logarithm of spend. The budget is what `--trials` random candidates of each method cost in full, on average. At the end,
the regret in quality of the option that would be picked under three limits on cost. Instances from 100 on are those that
nothing was developed on.
"""

import argparse
import csv
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from typing import Any

import family_searches
import family_table
import numpy as np
from family_natures import BUDGETS, PREFIX
from peers import SEARCHES
from problems import SHARES, Problem, Scale
from recorded import TABLES, Table
from surrogates import TASKS
from surrogates import Task as Surrogate

SHOWN = (0.03, 0.10, 0.30, 1.0)
OURS, REFERENCE = "cost_aware", "tpe"
FAMILIES = tuple(f"{PREFIX}{trials}" for trials in BUDGETS)
"""Problems over all families of models, which have budgets, slots, searches and measures of their own."""
PEERS = ("tpe", "random", "nsga2", "gp", "separate", "mo_asha", "smac")


def problem_of(name: str, instance: int) -> Problem:
    for shape in TASKS:
        if shape.name == name:
            return Surrogate(shape, instance)
    return Table(name, instance)


@cache
def scale_for(name: str, instance: int, trials: int) -> Scale:
    return Scale(problem_of(name, instance), trials)


def names() -> list[str]:
    return [s.name for s in TASKS] + sorted(p.name.removesuffix(".json.gz") for p in TABLES.glob("*.json.gz"))


def one(job: tuple[str, str, int, int, int]) -> dict[str, Any]:
    """One search: its name, the problem's, the instance, the budget in random trials, slots."""
    search, name, instance, trials, slots = job
    if name.startswith(PREFIX):
        return family_searches.measure(search, name, instance)
    scale = scale_for(name, instance, trials)
    problem = scale.problem
    run = SEARCHES[search](problem, scale.budget_seconds, instance, slots)
    row: dict[str, Any] = {"search": search, "problem": name, "instance": instance, "slots": slots}
    row |= {"steps": len(run.steps), "driver_seconds": round(run.driver_seconds, 2)}
    for share in SHARES:
        row[f"at_{share:.4f}"] = round(scale.share(run.report(share * scale.budget_seconds)), 4)
    for i, regret in enumerate(scale.regrets(run.report(scale.budget_seconds))):
        row[f"regret_{i}"] = round(regret, 4)
    return row


def curve(row: dict[str, Any]) -> Any:
    return np.array([float(row[f"at_{s:.4f}"]) for s in SHARES])


def at(row: dict[str, Any], share: float) -> float:
    return float(np.interp(np.log(share), np.log(SHARES), curve(row)))


def area(row: dict[str, Any]) -> float:
    """Mean of the curve over log spend: trapezoids of equal width."""
    values = curve(row)
    return float((values[1:] + values[:-1]).mean() / 2)


def mean_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half of its 95 % interval."""
    error = 1.96 * statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return statistics.mean(values), error


def table(rows: Sequence[dict[str, Any]], searches: Sequence[str], problems: Sequence[str]) -> str:
    lines = [
        f"{'search':18s} runs "
        + "".join(f"{s:>15.0%}" for s in SHOWN)
        + f"{'area':>15s}{'regret':>15s} steps  driver s"
    ]
    for search in searches:
        own = [r for r in rows if r["search"] == search and r["problem"] in problems]
        if not own:
            continue
        cells = [[at(r, s) for r in own] for s in SHOWN] + [[area(r) for r in own]]
        cells.append([statistics.mean(float(r[f"regret_{i}"]) for i in range(3)) for r in own])
        text = "".join(f"{m:8.3f} ±{e:.3f}" for m, e in map(mean_error, cells))
        mean = [statistics.mean(float(r[k]) for r in own) for k in ("steps", "driver_seconds")]
        lines.append(f"{search:18s} {len(own):4d} {text} {mean[0]:5.0f} {mean[1]:9.1f}")
    return "\n".join(lines)  # fmt: skip


def against(
    rows: Sequence[dict[str, Any]],
    peer: str,
    problems: Sequence[str],
    name_of: str,
    measure: Callable[[dict[str, Any]], float],
) -> str:
    """Per problem, the paired difference of a measure (ours - peer) with its interval; wins are beyond the interval."""
    cells, wins, losses = [], 0, 0
    for name in problems:
        pairs = _pairs(rows, peer, name)
        if len(pairs) < 2:
            continue
        mean, error = mean_error([measure(a) - measure(b) for a, b in pairs])
        wins, losses = wins + (mean > error), losses + (mean < -error)
        cells.append(f"{name} {mean:+.3f} ±{error:.3f}")
    return f"{OURS} - {peer:9s} {name_of + ':':5s} won {wins}, lost {losses} of {len(cells)}: " + ", ".join(cells)


def _pairs(rows: Sequence[dict[str, Any]], peer: str, name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    def of(search: str) -> dict[Any, dict[str, Any]]:
        return {r["instance"]: r for r in rows if r["search"] == search and r["problem"] == name}

    ours, theirs = of(OURS), of(peer)
    return [(ours[i], theirs[i]) for i in sorted(ours.keys() & theirs.keys())]


def spend_to_reach(rows: Sequence[dict[str, Any]], peer: str, problems: Sequence[str]) -> str:
    """Share of the budget at which our mean curve passes the peer's final mean, per problem and over all."""
    cells = []
    for name in [*problems, None]:
        ours = [r for r in rows if r["search"] == OURS and r["problem"] in ([name] if name else problems)]
        theirs = [r for r in rows if r["search"] == peer and r["problem"] in ([name] if name else problems)]
        if not ours or not theirs:
            continue
        mean, end = np.mean([curve(r) for r in ours], 0), np.mean([curve(r)[-1] for r in theirs])
        passed = np.flatnonzero(mean >= end)
        if not len(passed):
            cells.append(f"{name or 'all'} never")
            continue
        i = int(passed[0])
        share = SHARES[0]
        if i:
            part = (end - mean[i - 1]) / (mean[i] - mean[i - 1])
            share = float(np.exp(np.log(SHARES[i - 1]) + part * np.log(SHARES[i] / SHARES[i - 1])))
        cells.append(f"{name or 'all'} {share:.0%}")
    return f"budget at which {OURS} reaches the end of {peer}: " + ", ".join(cells)


def plot(rows: Sequence[dict[str, Any]], searches: Sequence[str], problems: Sequence[str], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    columns = 4
    figure, axes = pyplot.subplots(
        -(-len(problems) // columns), columns, figsize=(14, 3.3 * -(-len(problems) // columns)), squeeze=False
    )
    for axis, name in zip(axes.flat, problems, strict=False):
        for search in searches:
            own = [curve(r) for r in rows if r["search"] == search and r["problem"] == name]
            if own:
                mean = np.mean(own, 0)
                error = 1.96 * np.std(own, 0, ddof=1) / len(own) ** 0.5 if len(own) > 1 else 0 * mean
                width = 2.2 if search == OURS else 1.0
                (line,) = axis.plot([100 * s for s in SHARES], mean, label=search, linewidth=width)
                axis.fill_between(
                    [100 * s for s in SHARES], mean - error, mean + error, alpha=0.12, color=line.get_color()
                )
        axis.set_xscale("log")
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("% of the budget spent", fontsize=8)
    for axis in list(axes.flat)[len(problems) :]:
        axis.axis("off")
    axes[0][0].set_ylabel("hypervolume of true values", fontsize=8)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), fontsize=8)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(path)  # fmt: skip


def show(rows: Sequence[dict[str, Any]], searches: Sequence[str], problems: Sequence[str]) -> None:
    made_up = [n for n in problems if any(n == s.name for s in TASKS)]
    for title, part in (("made-up tasks", made_up), ("recorded tables", [n for n in problems if n not in made_up])):
        if not part:
            continue
        print(f"\n{title}: mean and 95 % interval over runs, which differ more by problem than by search")
        print(table(rows, searches, part))
        for peer in [p for p in searches if p != OURS]:
            print(against(rows, peer, part, "area", area))
            print(against(rows, peer, part, "end", lambda row: at(row, 1.0)))
        if REFERENCE in searches and OURS in searches:
            print(spend_to_reach(rows, REFERENCE, part))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", nargs="+", help=" ".join(SEARCHES))
    parser.add_argument("--problems", nargs="+", default=names(), help=" ".join([*names(), *FAMILIES]))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, help="CSV; runs that are in it are not repeated")
    parser.add_argument("--plot", type=Path, help="SVG")
    args = parser.parse_args()
    families = [p for p in args.problems if p in FAMILIES]
    if families and families != args.problems:
        parser.error("the problems over families have measures of their own: run them alone")
    args.searches = args.searches or (list(family_searches.SEARCHES) if families else [OURS, *PEERS])
    args.slots = family_searches.SLOTS if families else args.slots
    os.environ["OMP_NUM_THREADS"] = "1"
    rows = list(csv.DictReader(args.out.open())) if args.out and args.out.is_file() else []
    have = {(r["search"], r["problem"], int(r["instance"]), int(r["slots"])) for r in rows}
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    jobs = [(s, p, seed, args.trials, args.slots) for seed in seeds for p in args.problems for s in args.searches]
    jobs = [j for j in jobs if (j[0], j[1], j[2], j[4]) not in have]
    with ProcessPoolExecutor(args.jobs) as pool:
        for number, done in enumerate(as_completed([pool.submit(one, j) for j in jobs])):
            rows.append({k: str(v) for k, v in done.result().items()})
            if args.out and (number % 10 == 9 or number + 1 == len(jobs)):
                with args.out.open("w", newline="") as file:
                    writer = csv.DictWriter(file, list(rows[0]))
                    writer.writeheader()
                    writer.writerows(rows)
                print(f"\r{number + 1} of {len(jobs)} runs", end="", file=sys.stderr)
    rows = [r for r in rows if int(r["slots"]) == args.slots and int(r["instance"]) in seeds]
    if families:
        print(*(family_table.table(rows, args.searches, name) for name in families), sep="\n")
        return
    show(rows, args.searches, args.problems)
    if args.plot:
        plot(rows, args.searches, args.problems, args.plot)


if __name__ == "__main__":
    main()
