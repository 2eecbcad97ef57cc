"""Raw options: quality and its interval belong to the rows that were answered last."""

from pathlib import Path

import numpy as np
import pytest

from autoadapt.domain.jobs import Devices, Fidelity, JobBase, Score
from autoadapt.domain.option import RawOption
from autoadapt.domain.outcome import Measurement, Outcome, RowResult
from autoadapt.domain.task import Budget, SearchSettings
from autoadapt.domain.usage import Usage
from autoadapt.forecast.simulation import SimulatedTask
from autoadapt.row_statistics import stats_array
from autoadapt.runs.run_folder import Record, RunFolder
from autoadapt.study.options import MeasuredTrials
from autoadapt.study.raw_options import RawOptions
from autoadapt.verdict.intervals import interval

TASK = SimulatedTask("joint", Budget(trials=9), ("lora",), rows=100).resolved(SearchSettings(), 0)
DEVICES = Devices(kind="x", count=1, accelerator="cpu")


def measurement(rows: int, right: float) -> Measurement:
    """So many rows of which a share is right, and 60 single requests."""
    flags = np.random.default_rng(rows).random(rows) < right
    return Measurement(
        rows=[RowResult(id=i, stats=[float(flag)], tokens_in=20, tokens_out=1) for i, flag in enumerate(flags)],
        answering=Usage(device_seconds={"x": 1.0}),
        inference_seconds=1.0,
        latency_ms=np.linspace(20, 30, 60).tolist(),
        peak_memory_bytes=1,
        parameters_trained=1,
        parameters_total=1,
    )


class Study:
    """One trial of a study, scored on test rows as often as a test wants."""

    def __init__(self) -> None:
        self.folder = RunFolder(Path("nowhere"), lasting=False)
        self.measured = MeasuredTrials(TASK.goals, TASK.metric, TASK.task.economics, "x")
        fidelity = Fidelity(rows=100, steps=1.0, latency_requests=60)
        self.fit = TASK.fit_job(0, TASK.space.candidate(TASK.space.first()[0]), 0, fidelity)
        outcome = Outcome.of(self.fit, measurement(100, 0.8), DEVICES, 1.0)
        self.measured.add(0, Record(Path("trials/0000/rung0"), self.fit, outcome))

    def score(self, rows: int, right: float) -> Measurement:
        base = {name: getattr(self.fit, name) for name in JobBase.model_fields}
        job = Score(**{**base, "attempt": len(self.folder.of(0, "score"))}, rows=rows)
        scored = measurement(rows, right).model_copy(update={"latency_ms": []})
        self.folder.add(self.folder.job_folder(job), job, Outcome.of(job, scored, DEVICES, 1.0))
        return scored

    def raws(self, earlier: list[RawOption]) -> RawOptions:
        return RawOptions(TASK, self.folder, self.measured, earlier)


@pytest.mark.parametrize("resumed", [False, True])
def test_the_interval_is_that_of_the_rows_that_were_scored_last(resumed: bool) -> None:
    """Where the budget pays for it, an option is scored once more on more test rows, in the same run or a later one."""
    study = Study()
    raws = study.raws([])
    study.score(20, 0.5)
    before = raws.option(0)
    scored = study.score(400, 0.9)
    after = (study.raws([before]) if resumed else raws).option(0)
    assert after.test_rows == 400
    assert after.test_quality_ci == interval(TASK.metric, stats_array(scored), TASK.task.seed)
    assert after.test_quality_ci != before.test_quality_ci


def test_intervals_of_an_earlier_run_are_not_computed_again() -> None:
    study = Study()
    study.score(20, 0.5)
    known = study.raws([]).option(0).model_copy(update={"quality_ci": (0.1, 0.2), "test_quality_ci": (0.3, 0.4)})
    resumed = study.raws([known]).option(0)
    assert (resumed.quality_ci, resumed.test_quality_ci) == ((0.1, 0.2), (0.3, 0.4))
