"""How long a candidate is timed by single requests: to the end, unless a known option dominates it."""

from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from job_runs import SPLITS, JobRun, scripted

from autoadapt.domain.jobs import Fidelity
from autoadapt.domain.objective import Reading
from autoadapt.domain.outcome import Measurement
from autoadapt.domain.standards import Standard, Standards
from autoadapt.domain.task import Economics
from autoadapt.economics.rates import least_samples
from autoadapt.shelves import METRICS, OBJECTIVES

ECONOMICS = Economics(usd_per_hour=Decimal(1))
FULL = Fidelity(rows=SPLITS["validation"], steps=1.0, latency_requests=60)
BEST: dict[str, float] = {"quality": 1.0, "cost_usd_per_1k": 0.0, "latency_ms": 0.3}


def standards(tail: float = 3.0, **values: float) -> Standards:
    """One option that is better in everything; keyword arguments replace its values."""
    known = Standard(values={**BEST, **values}, latency_p50_ms=values.get("latency_ms", 0.1), tail=tail)
    return Standards(requests=10, economics=ECONOMICS, options=[known])


def timed(folder: Path, **job: Any) -> Measurement:
    """What a prompt gives on a model that takes two milliseconds a row."""
    jobs = JobRun(folder / "run", scripted("row_seconds=0.002"))
    return jobs.measure(jobs.fit("prompt", fidelity=FULL, **job))


def test_a_dominated_candidate_is_timed_by_few_requests(tmp_path: Path) -> None:
    measurement = timed(tmp_path, standards=standards())
    assert len(measurement.latency_ms) == 10
    assert measurement.latency_tail == 3.0


def test_the_latency_of_a_dominated_candidate_stays_dominated(tmp_path: Path) -> None:
    measurement = timed(tmp_path, standards=standards(tail=3.0))
    reading = Reading(measurement, METRICS.get("accuracy"), ECONOMICS)
    value = OBJECTIVES.get("latency_ms").read(reading)
    assert value == pytest.approx(3 * median(measurement.latency_ms))
    assert value >= 3 * 0.1, "the option's own latency, its median times its tail"


@pytest.mark.parametrize(
    "better", [{"quality": 0.0}, {"cost_usd_per_1k": 100.0}, {"latency_ms": 1000.0}, {"memory_mb": 1e9}]
)
def test_a_candidate_that_is_better_in_something_is_timed_to_the_end(tmp_path: Path, better: dict[str, float]) -> None:
    measurement = timed(tmp_path, standards=standards(**better))
    assert len(measurement.latency_ms) == 60 >= least_samples(95)
    assert measurement.latency_tail == 1.0


def test_a_candidate_is_timed_to_the_end_where_nothing_is_known(tmp_path: Path) -> None:
    assert len(timed(tmp_path).latency_ms) == 60


def test_a_candidate_of_few_requests_is_not_compared(tmp_path: Path) -> None:
    fidelity = FULL.model_copy(update={"latency_requests": 7})
    jobs = JobRun(tmp_path / "run", scripted())
    measurement = jobs.measure(jobs.fit("prompt", fidelity=fidelity, standards=standards()))
    assert len(measurement.latency_ms) == 7
    assert measurement.latency_tail == 1.0


def test_an_option_that_was_timed_by_few_requests_is_timed_to_the_end_when_it_is_scored(tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", scripted())
    fitted = jobs.fit("prompt", fidelity=FULL, standards=standards())
    jobs.measure(fitted)
    assert len(jobs.measure(jobs.score(fitted, latency_requests=60)).latency_ms) == 60
    assert jobs.measure(jobs.score(fitted)).latency_ms == []
