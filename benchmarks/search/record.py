"""Measures every point of a grid with this project, once, and stores the raw numbers compactly: a tabular benchmark.

    python benchmarks/search/record.py trec6 [--runs runs/tables]       # about 45 minutes on one core; resumes

Needs the public data sets in ../shared/data. Every candidate of `tables/space.yaml` is run: prompts once on 400 rows,
trained ones at a ninth and a third of their steps (on 133 rows) and in full (on 400), going on from their checkpoints.
Writes `tables/NAME.json.gz`, one record a line: candidate, fidelity, what each row scored, seconds, latencies.
`recorded.py` reads it.
"""

import argparse
import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.events import Event
from autoadapt.domain.history import History
from autoadapt.domain.jobs import Fit
from autoadapt.domain.sampler import Decision, Sampler
from autoadapt.domain.space import Branch, Choices, applies
from autoadapt.domain.trial_state import TrialState
from autoadapt.runs.run_folder import Record
from autoadapt.samplers.cost_aware import Planned
from autoadapt.study.resources import StandIns, open_resources
from autoadapt.study.search import Search
from autoadapt.study.stop_signals import StopSignals
from autoadapt.tasks.resolve import resolve

TABLES = Path(__file__).parent / "tables"


class Everything(Sampler):
    """Every candidate of a grid in a random order, each to its last rung."""

    pauses = True

    def build(self, seed: int, history: History) -> Any:
        return Planned(self._next(history))

    def decide(self, seed: int, history: History) -> Decision:
        paused = [t.number for t in history.trials if t.state == TrialState.PAUSED]
        if paused:
            return Decision(promote=paused[0])
        left = self._left(history)
        return Decision(left[0], straight=left[0].method not in history.tunes) if left else Decision(converged=True)

    def _next(self, history: History) -> Candidate:
        return (self._left(history) or grid(history.branches, history.models))[0]

    def _left(self, history: History) -> list[Candidate]:
        done = {t.candidate.key() for t in history.trials}
        return [c for c in grid(history.branches, history.models) if c.key() not in done]


def grid(branches: Any, models: Any) -> list[Candidate]:
    """All candidates of a space whose parameters are choices, in a fixed random order."""
    candidates = [
        Candidate(method=branch.method, model=model, params=params)
        for branch in branches.values()
        for model in branch.models or models
        for params in combinations(branch)
    ]
    order = np.random.default_rng(0).permutation(len(candidates))
    return [candidates[i] for i in order]


def combinations(branch: Branch) -> list[dict[str, Any]]:
    """Every setting of a branch; parameters that do not apply are absent."""
    settings: dict[str, dict[str, Any]] = {}
    specs = {name: spec for name, spec in branch.specs.items() if isinstance(spec, Choices)}
    assert len(specs) == len(branch.specs), "a table needs choices, not ranges"
    for values in itertools.product(*(spec.choices for spec in specs.values())):
        chosen: dict[str, Any] = {}
        for (name, spec), value in zip(specs.items(), values, strict=True):
            if applies(spec, {"answers": branch.answers, **chosen}):
                chosen[name] = value
        settings.setdefault(json.dumps(chosen), chosen)
    return list(settings.values())


def compact(record: Record) -> dict[str, Any]:
    """One fit as a line of the table."""
    job, outcome, measured = record.job, record.outcome, record.measurement
    assert isinstance(job, Fit)
    assert outcome is not None
    line = {"trial": job.trial, "method": job.candidate.method, "model": job.candidate.model}
    line |= {"params": job.candidate.params, "steps": round(job.fidelity.steps, 6)}
    if record.failure is not None:
        return line | {"failure": record.failure.failure_class, "seconds": round(outcome.seconds, 3)}
    assert measured is not None
    right = "".join("1" if r.stats[0] == 1 else "0" for r in measured.rows)
    return line | {
        "rows": len(right),
        "right": f"{int(right, 2):x}",
        "train_seconds": round(measured.train_seconds, 3),
        "inference_seconds": round(measured.inference_seconds, 3),
        "loading_seconds": round(max(0.0, outcome.seconds - outcome.fit_measure_seconds), 3) if not outcome.cold else None,
        "fit_measure_seconds": round(outcome.fit_measure_seconds, 3),
        "latency_ms": [round(x, 2) for x in measured.latency_ms],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--runs", type=Path, default=Path("runs/tables"))
    parser.add_argument("--out", type=Path, default=TABLES, help="folder of the table")
    args = parser.parse_args()
    resolved = resolve(TABLES / f"{args.name}.yaml", ())
    stand_ins = StandIns(sampler=Everything())
    with (
        StopSignals() as stop,
        open_resources(resolved, args.runs / args.name, show, stand_ins=stand_ins) as resources,
    ):
        search = Search(resources)
        search.resume()
        search.run(stop)
        if stop.code is not None:
            search.stand_down()
            return
        trials = sorted({record.job.trial for record in search.folder.records})
        records = [record for trial in trials for record in search.folder.of(trial) if record.outcome is not None]
    path = args.out / f"{args.name}.json.gz"
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        for record in records:
            file.write((json.dumps(compact(record)) + "\n").encode())
    print(f"{len(records)} fits written to {path}")


def show(event: Event) -> None:
    """Prints what the search reports."""
    if event.message:
        print(event.message)


if __name__ == "__main__":
    main()
