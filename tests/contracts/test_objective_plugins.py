"""Every objective keeps its interface: it describes itself and reads a finite value; a new file is tested at once."""

import math
from decimal import Decimal

import pytest

from autoadapt.domain.jobs import Devices
from autoadapt.domain.objective import Objective, Reading, split_goals
from autoadapt.domain.outcome import Measurement, RowResult
from autoadapt.domain.task import Economics
from autoadapt.domain.usage import Usage
from autoadapt.shelves import METRICS, OBJECTIVES

CPU = Devices(kind="a CPU", count=1, accelerator="cpu")
MEASUREMENT = Measurement(
    rows=[RowResult(id=i, stats=[float(i % 2)], tokens_in=10, tokens_out=1) for i in range(20)],
    training=Usage(device_seconds={CPU.kind: 30.0}),
    answering=Usage(device_seconds={CPU.kind: 2.0}),
    train_seconds=30.0,
    inference_seconds=2.0,
    latency_ms=[10.0 + i for i in range(60)],
    peak_memory_bytes=500_000_000,
    artifact_bytes=1_000_000,
    parameters_trained=1000,
    parameters_total=100_000,
)


def reading(share_trained: float = 1.0) -> Reading:
    """A made-up measurement with what an objective may need to read it."""
    return Reading(MEASUREMENT, METRICS.get("accuracy"), Economics(usd_per_hour=Decimal(1)), share_trained)


@pytest.fixture(params=OBJECTIVES.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def objective(name: str) -> Objective:
    return OBJECTIVES.get(name)


def test_objective_describes_itself_as_a_goal(name: str, objective: Objective) -> None:
    goal = objective.goal(name)
    assert goal.name == name
    assert goal.title
    assert goal.unit


def test_objective_reads_a_finite_value_on_its_scale(name: str, objective: Objective) -> None:
    goal = objective.goal(name)
    for share in (1.0, 0.5):
        value = objective.read(reading(share))
        assert math.isfinite(value)
        assert goal.unscaled(goal.scaled(value)) == pytest.approx(value)


def test_objective_goes_with_quality(name: str, objective: Objective) -> None:
    if name != "quality":
        uncertain, others = split_goals((OBJECTIVES.get("quality").goal("quality"), objective.goal(name)))
        assert uncertain.name == "quality"
        assert [goal.name for goal in others] == [name]
