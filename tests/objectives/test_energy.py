"""An objective from outside: watt-hours per 1,000 queries."""

from pathlib import Path

import pytest
from job_runs import DEVICES, SPLITS, JobRun, scripted

from autoadapt.domain.objective import Reading
from autoadapt.domain.task import Economics
from autoadapt.shelves import METRICS, OBJECTIVES


def test_energy_is_that_of_the_counter_or_device_time_at_a_nominal_power(tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", scripted("row_seconds=0.001"))
    measurement = jobs.measure(jobs.fit("prompt"))
    economics = Economics.model_validate({"usd_per_hour": 1})
    objective, metric = OBJECTIVES.get("energy_wh"), METRICS.get("accuracy")
    seconds = measurement.answering.device_seconds[DEVICES.kind]
    nominal = objective.read(Reading(measurement, metric, economics))
    assert nominal == pytest.approx(seconds * 100 / 3600 * 1000 / SPLITS["validation"])
    counted = measurement.answering.model_copy(update={"joules": 36.0})
    reading = Reading(measurement.model_copy(update={"answering": counted}), metric, economics)
    assert objective.read(reading) == pytest.approx(10 / SPLITS["validation"])
    goal = objective.goal("energy_wh")
    assert (goal.direction, goal.unit, goal.uncertain) == ("minimize", "Wh", False)
