"""How often is something dropped that full fidelity would have put on the frontier?

    python benchmarks/search/dropped.py [--seeds 2] [--trials 30]

Searches the made-up tasks with cost_aware and looks at every candidate that was begun and never measured in full. It
counts as lost when, by true values, no candidate measured in full is as good, as cheap and as fast within the tolerance
(half a point of quality, 3 % of cost and latency: what a measurement cannot tell apart).
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from peers import study
from problems import Scale
from surrogates import TASKS, Task

from autoadapt.samplers.cost_aware import CostAware

QUALITY, RATIO = 0.005, 1.03


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--trials", type=int, default=30)
    args = parser.parse_args()
    search = study(CostAware, portfolio=True, rungs=True)
    begun_in_all, dropped_in_all, lost_in_all = 0, 0, 0
    for shape in TASKS:
        begun, dropped, lost = 0, 0, 0
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            task = Task(shape, seed)
            run = search(task, Scale(task, args.trials).budget_seconds, seed, 4)
            whole = {s.trial: s.candidate for s in run.steps if s.full}
            part = {s.trial: s.candidate for s in run.steps if s.trial not in whole}
            full = np.array([task.truth(c) for c in whole.values()])
            for candidate in part.values():
                quality, cost, latency = task.truth(candidate)
                as_good = (
                    (full[:, 0] >= quality - QUALITY) & (full[:, 1] <= cost * RATIO) & (full[:, 2] <= latency * RATIO)
                )
                lost += not as_good.any()
            begun, dropped = begun + len(whole) + len(part), dropped + len(part)
        print(f"{shape.name:12s} begun {begun:4d}, never measured in full {dropped:4d}, of them lost {lost:3d}")
        begun_in_all, dropped_in_all, lost_in_all = begun_in_all + begun, dropped_in_all + dropped, lost_in_all + lost
    print(
        f"all: lost {lost_in_all} of {dropped_in_all} not measured in full "
        f"({lost_in_all / max(1, dropped_in_all):.1%}), of {begun_in_all} begun ({lost_in_all / begun_in_all:.1%})"
    )


if __name__ == "__main__":
    main()
