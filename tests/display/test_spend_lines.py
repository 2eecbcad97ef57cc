"""What a search says of its spend: loading, jobs that gave nothing, and slots without a job."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from made_up import MadeUp

from autoadapt.display.report.sections import money
from autoadapt.display.sentences import idle_line
from autoadapt.display.terminal.result import print_result
from autoadapt.domain.option import Spent

SPENT = Spent(
    trials=4,
    usd=0.04,
    device_seconds=120.0,
    lost_seconds=20.0,
    fit_measure_seconds=69.0,
    wall_seconds=80.0,
    idle_seconds=40.0,
    idle_usd=0.0133,
)
IDLE = (
    "Slots had no job for 40 s (25% of their time): a rented machine bills $0.0133 for that too, $0.0533 in all; "
    "budgets do not count it."
)


def study_that_spent(spent: Spent) -> MadeUp:
    study = MadeUp()
    study.results = SimpleNamespace(**{**vars(study.results), "spent": spent})
    return study


def test_idle_slots_are_told_where_spend_is(capsys: pytest.CaptureFixture[str]) -> None:
    study = study_that_spent(SPENT)
    print_result(cast(Any, study), None)
    assert IDLE in " ".join(capsys.readouterr().out.split())
    assert IDLE in money(cast(Any, study))["spent"]


def test_slots_that_always_had_a_job_are_not_mentioned() -> None:
    busy = SPENT.model_copy(update={"idle_seconds": 0.4})
    assert idle_line(busy) == ""
    assert "Slots" not in money(cast(Any, study_that_spent(busy)))["spent"]


def test_jobs_that_were_ended_are_not_counted_as_loading(capsys: pytest.CaptureFixture[str]) -> None:
    """69 of the 100 seconds of jobs that gave something went into fitting and measuring; 20 more gave nothing."""
    print_result(cast(Any, study_that_spent(SPENT)), None)
    printed = " ".join(capsys.readouterr().out.split())
    assert "31% of device time was imports and loading; 20 s went to jobs that gave nothing." in printed
