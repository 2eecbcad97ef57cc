"""Which search reaches the frontier for the least money? Surrogate tasks, virtual time, every sampler side by side.

    python benchmarks/search/run.py --seeds 5 --samplers random tpe cost_aware --jobs 2

Measured: hypervolume of the TRUE values (no noise) of the frontier that the search would report, as a share of the
task's best attainable, after 3, 10, 30 and 100 % of the budget. The budget of a task is what `--trials` random candidates
cost at full fidelity. All searches are this project's study: the same slots, budget, noise and space; they differ in
what is asked next and in what goes on. Writes one row per run to `--out` (CSV).
"""

import argparse
import csv
import statistics
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from surrogates import MODELS, ROWS, TASKS, USD_PER_HOUR, Task

from autoadapt.domain.task import Budget
from autoadapt.domain.trial import Candidate
from autoadapt.study.simulation import simulate
from autoadapt.study.space import JointSpace, load_space
from autoadapt.surrogates import dominance
from autoadapt.surrogates.features import Features
from autoadapt.surrogates.improvement import hypervolume
from autoadapt.verdict.frontier import non_dominated
from autoadapt.verdict.objectives import objectives

SHARES = (0.03, 0.10, 0.30, 1.0)
METHODS = ("prompt", "lora", "full")


class Scale:
    """What of a task's frontier is attainable: from many candidates, and many more near the best of them."""

    def __init__(self, task: Task, branches: Any, trials: int) -> None:
        self.task = task
        random, features = np.random.default_rng(1), Features(branches, MODELS)
        drawn = [features.draw(m, random) for m in METHODS for _ in range(1000)]
        rows = np.array([self.row(c) for c in drawn])
        untuned = rows[:1000, 0]
        self.reference = (
            float(np.quantile(untuned, 0.05)) - 0.02,
            float(np.quantile(rows[:, 1], 0.98)) + 0.05,
            float(np.quantile(rows[:, 2], 0.98)) + 0.05,
        )
        seconds = [task.train_seconds(c, 1.0) + ROWS * task.seconds_per_row(c) for c in drawn]
        self.budget = trials * float(np.mean(seconds)) * USD_PER_HOUR / 3600
        for _ in range(6):
            best = front(rows)
            drawn, rows = [drawn[i] for i in best], rows[best]
            moved = [features.move(drawn[int(random.integers(len(drawn)))], random) for _ in range(1000)]
            drawn, rows = [*drawn, *moved], np.r_[rows, [self.row(c) for c in moved]]
        self.best = hypervolume(thin(rows[front(rows)]), self.reference)

    def row(self, candidate: Candidate) -> list[float]:
        quality, cost, latency = self.task.truth(candidate)
        return [quality, float(np.log10(cost)), float(np.log10(latency))]

    def share(self, candidates: list[Candidate]) -> float:
        """Hypervolume of the true values of these, as a share of what is attainable."""
        if not candidates:
            return 0.0
        rows = np.array([self.row(c) for c in candidates])
        return float(hypervolume(rows[front(rows)], self.reference) / self.best)


def front(rows: Any) -> list[int]:
    return np.flatnonzero(dominance.non_dominated(rows)).tolist()


def thin(rows: Any, cells: int = 60) -> Any:
    """Of rows in the same cell of a grid, the one of greatest quality: thousands of points make a volume slow."""
    grid = np.floor((rows - rows.min(0)) / (np.ptp(rows, 0) + 1e-9) * cells)
    order = np.argsort(-rows[:, 0])
    return rows[order[np.unique(grid[order], axis=0, return_index=True)[1]]]


def reported(search: Any, usd: float) -> list[Candidate]:
    """The candidates on the measured frontier once so much was spent."""
    spent, points, found = 0.0, [], []
    for record in search.folder.records:
        spent += search.ledger.usd(record.outcome.seconds * record.outcome.devices.count)
        if spent > usd:
            break
        if (
            record.outcome.measurement is not None
            and record.step.fidelity.rows >= ROWS
            and record.step.fidelity.steps >= 1
        ):
            points.append(objectives(record.outcome, search.resolved.metric, search.task.economics))
            found.append(record.step.candidate)
    return [found[i] for i in non_dominated(points)]


def one(job: tuple[str, int, int, int]) -> dict[str, Any]:
    """One search: sampler (with `+rungs`), task, seed, budget in random trials."""
    name, index, seed, trials = job
    task = Task(TASKS[index], seed)
    scale = Scale(task, branches(task), trials)
    sampler, _, rungs = name.partition("+")
    began = time.perf_counter()
    search = simulate(
        "joint",
        task.answers,
        Budget(usd=Decimal(f"{scale.budget:.6f}")),
        methods=METHODS,
        models=MODELS,
        sampler=sampler,
        rungs=bool(rungs) or sampler == "cost_aware",
        rows=ROWS,
        seed=seed,
        economics=task.economics,
    )
    row: dict[str, Any] = {
        "sampler": name,
        "task": TASKS[index].name,
        "seed": seed,
        "steps": len(search.folder.records),
    }
    row |= {f"{s:.0%}": round(scale.share(reported(search, s * scale.budget)), 4) for s in SHARES}
    counts = defaultdict(int)
    for record in search.folder.records:
        counts[record.step.candidate.method] += 1
    return row | {"driver_seconds": round(time.perf_counter() - began, 2), **{m: counts[m] for m in METHODS}}


def branches(task: Task) -> Any:
    """The parameters of every method in the default space."""
    from autoadapt.domain.task import Data
    from autoadapt.domain.task import Task as Asked

    asked = Asked(
        name="scale", data=Data(train="none"), metric="accuracy", models=list(MODELS), budget=Budget(trials=1),
        economics=task.economics,
    )  # fmt: skip
    return JointSpace(load_space("joint", Path()), asked, "label").joint_branches()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samplers", nargs="+", default=["random", "tpe", "tpe+rungs", "cost_aware"])
    parser.add_argument("--tasks", nargs="+", type=int, default=list(range(len(TASKS))))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    jobs = [(s, t, seed, args.trials) for seed in seeds for t in args.tasks for s in args.samplers]
    rows = []
    with ProcessPoolExecutor(args.jobs) as pool:
        for row in pool.map(one, jobs):
            rows.append(row)
            if args.out:
                with args.out.open("w", newline="") as file:
                    writer = csv.DictWriter(file, list(row))
                    writer.writeheader()
                    writer.writerows(rows)
    columns = [f"{s:.0%}" for s in SHARES]
    print(f"{'sampler':24s} runs  " + "  ".join(f"{c:>13s}" for c in columns) + "   steps  driver s")
    for name in args.samplers:
        own = [r for r in rows if r["sampler"] == name]
        cells = []
        for c in columns:
            values = [r[c] for r in own]
            error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
            cells.append(f"{statistics.mean(values):.3f} ±{1.96 * error:.3f}")
        mean = {k: statistics.mean(r[k] for r in own) for k in ("steps", "driver_seconds")}
        print(
            f"{name:24s} {len(own):4d}  "
            + "  ".join(f"{c:>13s}" for c in cells)
            + f"  {mean['steps']:6.0f}  {mean['driver_seconds']:8.1f}"
        )
        for index in args.tasks:
            part = [r for r in own if r["task"] == TASKS[index].name]
            print(
                f"  {TASKS[index].name:22s} {len(part):4d}  "
                + "  ".join(f"{statistics.mean(r[c] for r in part):>13.3f}" for c in columns)
            )


if __name__ == "__main__":
    main()
