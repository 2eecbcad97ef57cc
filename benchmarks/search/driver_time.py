"""What a decision costs the driver as the study grows: milliseconds of ask and tell, everything included.

    python benchmarks/search/driver_time.py [--trials 1000] [--searches cost_aware tpe]

One study of the intents task in virtual time; printed are means over windows of trials, cost_aware beside Optuna's TPE
in the same study. Virtual time costs nothing, so the wall-clock time of the study is the driver's.
"""

import argparse
import os
import time
from decimal import Decimal
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from peers import OptunaPeer, tpe
from surrogates import TASKS, Task

from autoadapt.domain.task import Budget, SearchSettings
from autoadapt.forecast.simulation import SimulatedTask, simulate
from autoadapt.samplers.cost_aware import CostAware


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--searches", nargs="+", default=["cost_aware", "tpe"])
    args = parser.parse_args()
    task = Task(TASKS[1], 0)
    windows = [w for w in (100, 300, 1000, 3000) if w <= args.trials]
    for name in args.searches:
        marks: dict[int, float] = {}

        def answers(candidate: Any, fidelity: Any, seed: int, marks: dict[int, float] = marks) -> Any:
            marks[len(marks)] = time.perf_counter()
            return task.answers(candidate, fidelity, seed)

        simulated = SimulatedTask(
            task.space,
            Budget(trials=args.trials, usd=Decimal(10**6)),
            models=task.models,
            rows=task.rows,
            economics=task.economics,
        )
        sampler = CostAware() if name == "cost_aware" else OptunaPeer(tpe)
        settings = SearchSettings(rungs=name == "cost_aware", least_gain=0.0)
        search = simulate(simulated, answers, settings, sampler)
        fits = len(search.folder.records)
        for window in windows:
            last = min(len(marks) - 1, round(window / args.trials * len(marks)))
            first = max(0, last - 50)
            print(
                f"{name:12s} at {window:5d} trials: {1000 * (marks[last] - marks[first]) / (last - first):6.1f} ms a fit"
            )
        print(f"{name:12s} {fits} fits in all")


if __name__ == "__main__":
    main()
