"""What a decision costs the driver as the study grows: milliseconds of ask and tell, everything included.

    python benchmarks/search/driver_time.py [--trials 1000] [--searches cost_aware tpe] [--studies intents ten-models]

`intents` is a made-up task with three arms and three models. `ten-models` has ten arms on ten models of four families:
four encoders, three causal models, two hosted ones, and words. In `ten-models-rungs` no money limits the search, so that
every candidate begins on a part of its work and waits to be promoted. Printed are CPU milliseconds of this process per
finished fit, means over windows of trials: virtual time costs nothing, so the time of the study is the driver's.
"""

import argparse
import os
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, ClassVar

os.environ.setdefault("OMP_NUM_THREADS", "1")

from families import FamiliesTask
from family_natures import CAPABILITIES, CAUSAL, ENCODER, FAMILIES, HOSTED, WORDS
from family_searches import resolved_task
from peers import OptunaPeer, tpe
from surrogates import TASKS, Task

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fidelity
from autoadapt.domain.model import Capabilities
from autoadapt.domain.sampler import Sampler
from autoadapt.domain.task import Budget, SearchSettings
from autoadapt.executors.replay import Answers
from autoadapt.forecast.simulation import SimulatedTask, run_simulated
from autoadapt.samplers.cost_aware import CostAware
from autoadapt.tasks.resolve import ResolvedTask

WINDOWS = (100, 300, 1000, 3000)
FITS = 50
"""Over so many finished fits before a window's end the mean is taken."""
KINDS = {
    **{f"{ENCODER}-{i}": ENCODER for i in range(4)},
    **{f"{CAUSAL}-{i}": CAUSAL for i in range(3)},
    **{f"{HOSTED}-{i}": HOSTED for i in range(2)},
    WORDS: WORDS,
}
"""Ten models and the one of `families` that each is like."""


class TenModels(FamiliesTask):
    """A task over all families with several models of each, which answer alike."""

    models = tuple(KINDS)
    families: ClassVar[Mapping[str, str]] = {name: FAMILIES[kind] for name, kind in KINDS.items()}
    capabilities: ClassVar[Mapping[str, Capabilities]] = {name: CAPABILITIES[kind] for name, kind in KINDS.items()}

    def _default(self, arm: tuple[str, str]) -> Candidate:
        return self._defaults[arm[0], arm[1] if arm[1] in KINDS else f"{arm[1]}-0"]

    def answers(self, candidate: Candidate, fidelity: Fidelity, seed: int) -> Any:
        return ONE_OF_EACH.answers(candidate.model_copy(update={"model": KINDS[candidate.model]}), fidelity, seed)

    def obstacle(self, candidate: Candidate) -> str | None:
        return ONE_OF_EACH.obstacle(candidate.model_copy(update={"model": KINDS[candidate.model]}))


ONE_OF_EACH = FamiliesTask("families-20", 103)


def intents(trials: int, search: SearchSettings) -> tuple[ResolvedTask, Answers]:
    task = Task(TASKS[1], 0)
    simulated = SimulatedTask(
        task.space,
        Budget(trials=trials, usd=Decimal(10**6)),
        models=task.models,
        rows=task.rows,
        economics=task.economics,
    )
    return simulated.resolved(search, 0), task.answers


def ten_models(
    trials: int, search: SearchSettings, usd: Decimal | None = Decimal(10**6)
) -> tuple[ResolvedTask, Answers]:
    task = TenModels("families-20", 103)
    return resolved_task(task, search, 0, Budget(trials=trials, usd=usd)), task.answers


STUDIES: dict[str, Callable[[int, SearchSettings], tuple[ResolvedTask, Answers]]] = {
    "intents": intents,
    "ten-models": ten_models,
    "ten-models-rungs": lambda trials, search: ten_models(trials, search, None),
}


def study(name: str, trials: int, sampler: Sampler) -> tuple[list[float], int]:
    """Searches; returns the CPU seconds at which each fit began, and how many fits there were."""
    search = SearchSettings(rungs=isinstance(sampler, CostAware), least_gain=0.0)
    resolved, answers = STUDIES[name](trials, search)
    marks: list[float] = []

    def marked(candidate: Candidate, fidelity: Fidelity, seed: int) -> Any:
        marks.append(time.process_time())
        return answers(candidate, fidelity, seed)

    done = run_simulated(resolved, marked, 4, sampler)
    return marks, len(done.folder.records)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--searches", nargs="+", default=["cost_aware", "tpe"])
    parser.add_argument("--studies", nargs="+", default=["intents", "ten-models"], help=" ".join(STUDIES))
    args = parser.parse_args()
    windows = [w for w in WINDOWS if w <= args.trials]
    for name in args.studies:
        for search in args.searches:
            marks, fits = study(name, args.trials, CostAware() if search == "cost_aware" else OptunaPeer(tpe))
            for window in windows:
                last = min(len(marks) - 1, round(window / args.trials * len(marks)))
                first = max(0, last - FITS)
                mean = 1000 * (marks[last] - marks[first]) / (last - first)
                print(f"{name:16s} {search:12s} at {window:5d} trials: {mean:6.1f} ms a fit")
            print(f"{name:16s} {search:12s} {fits} fits in all", flush=True)


if __name__ == "__main__":
    main()
