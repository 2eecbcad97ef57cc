"""What the search cost, where a scenario pays it off: idle slots are rented too."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from autoadapt.domain.option import Spent
from autoadapt.domain.scenario import Scenario
from autoadapt.runs.scenarios import _search_usd

HOUR = 3600.0
STUDY = SimpleNamespace(
    results=SimpleNamespace(
        spent=Spent(usd=7.0, device_seconds=3 * HOUR, idle_seconds=HOUR, idle_usd=2.0)  # a dollar was billed
    ),
    task=SimpleNamespace(economics=SimpleNamespace(hour_usd=Decimal(2), overhead_factor=1.0)),
)


@pytest.mark.parametrize(
    ("scenario", "usd"),
    [
        (Scenario(with_search=True), 9.0),  # four hours on the machine at $2; it was 7.0
        (Scenario(with_search=True, training_price=Decimal(5)), 21.0),  # at $5; it was 16.0
    ],
)
def test_the_whole_time_of_the_machine_is_paid(scenario: Scenario, usd: float) -> None:
    assert _search_usd(cast(Any, STUDY), scenario) == pytest.approx(usd)
