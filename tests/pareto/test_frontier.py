"""Frontiers, boxes and curves of trials, for the default objectives and for others."""

import numpy as np
import pytest

from autoadapt.domain.objective import DEFAULT_GOALS, Goal
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.trial_state import TrialState
from autoadapt.errors import UserError
from autoadapt.pareto.frontier import attainment, frontier, frontiers_by_method, measured_trials, points
from autoadapt.pareto.reference import hypervolume_over_spend, hypervolume_share, reference_of

QUALITY, COST, LATENCY = DEFAULT_GOALS
MEMORY = Goal(name="peak_memory_bytes", direction="minimize", unit="bytes")
STEPS = Goal(name="train_steps", direction="maximize", scale="log")


def row(trial: int, quality: float | None, cost: float | None, latency: float | None, **others: object) -> TrialRow:
    fields: dict[str, object] = {
        "trial": trial,
        "state": "complete",
        "method": "lora",
        "model": "m",
        "params": {},
        "quality": quality,
        "cost_usd_per_1k": cost,
        "latency_ms": latency,
        "usd": 1.0,
        "ended": f"2026-01-01T00:00:{trial:02d}",
    }
    fields |= others
    fields["state"] = TrialState(str(fields["state"]))
    fields.setdefault("peak_memory_bytes", 0)
    names = ("quality", "cost_usd_per_1k", "latency_ms", "train_steps", "peak_memory_bytes")
    fields["values"] = {name: float(fields[name]) for name in names if fields.get(name) is not None}  # type: ignore[arg-type]
    return TrialRow(**fields)  # type: ignore[arg-type]


def test_hypervolume_share_by_hand() -> None:
    rows = [row(0, 0.5, 1, 10), row(1, 0.9, 10, 100)]
    box = reference_of(rows, DEFAULT_GOALS)
    assert box.worst == {"quality": 0, "cost_usd_per_1k": 20, "latency_ms": 200}
    assert box.best == {"quality": 1, "cost_usd_per_1k": 1, "latency_ms": 10}
    # in powers of ten the box is 1.301 wide in both; the expensive option adds 0.4 of quality over 0.301 x 0.301
    wide, narrow = np.log10(20), np.log10(2)
    share = hypervolume_share(points(rows, DEFAULT_GOALS), box)
    assert share == pytest.approx((0.5 * wide**2 + 0.4 * narrow**2) / wide**2)


def test_the_description_names_both_corners_with_units_and_the_scales() -> None:
    text = reference_of([row(0, 0.5, 1, 10)], DEFAULT_GOALS).description
    assert text == (
        "reference point quality 0, USD per 1,000 queries 2, latency in ms (p95) 20; a hypervolume of 1 would be quality 1, "
        "USD per 1,000 queries 1, latency in ms (p95) 10; USD per 1,000 queries and latency in ms (p95) on a logarithmic scale"
    )


def test_two_linear_objectives_without_cost_and_latency() -> None:
    goals = (QUALITY, MEMORY)
    rows = [row(0, 0.5, None, None, peak_memory_bytes=100), row(1, 0.9, None, None, peak_memory_bytes=300)]
    box = reference_of(rows, goals)
    assert (box.worst["peak_memory_bytes"], box.best["peak_memory_bytes"]) == (320, 100)
    assert hypervolume_share(points(rows, goals), box) == pytest.approx((0.5 * 220 + 0.4 * 20) / 220)
    assert len(frontier(rows, goals)) == 2


def test_a_maximized_logarithmic_objective() -> None:
    goals = (QUALITY, STEPS)
    rows = [row(0, 0.5, None, None, train_steps=10), row(1, 0.6, None, None, train_steps=1000)]
    box = reference_of(rows, goals)
    assert (box.worst["train_steps"], box.best["train_steps"]) == (5, 1000)
    assert [r.trial for r in frontier(rows, goals)] == [1]


@pytest.mark.parametrize("goals", [DEFAULT_GOALS, (QUALITY, MEMORY), (MEMORY, QUALITY, COST, LATENCY)])
def test_equal_values_everywhere_have_a_box_of_positive_size(goals: tuple[Goal, ...]) -> None:
    rows = [row(i, 0.5, 1, 10) for i in range(3)]
    share = hypervolume_share(points(rows, goals), reference_of(rows, goals))
    assert share == pytest.approx(0.5)


def test_only_trials_measured_in_full_count() -> None:
    rows = [row(0, 0.5, 1, 10), row(1, 0.9, 1, 1, state="stopped early"), row(2, 0.9, None, 1), row(3, 0.9, 0.0, 1)]
    assert [r.trial for r in measured_trials(rows, DEFAULT_GOALS)] == [0]
    assert [r.trial for r in measured_trials(rows, (QUALITY, LATENCY))] == [0, 2, 3]


def test_hypervolume_grows_with_spend_and_failures_cost() -> None:
    rows = [row(0, 0.5, 1, 10), row(1, 0.4, 5, 20, state="failed", usd=3.0), row(2, 0.9, 2, 20)]
    box = reference_of(rows, DEFAULT_GOALS)
    curve = hypervolume_over_spend(rows, box)
    assert [usd for usd, _ in curve] == [0, 1, 5]
    assert [v for _, v in curve] == sorted(v for _, v in curve)
    dominated = [*rows, row(3, 0.4, 3, 30)]
    assert hypervolume_over_spend(dominated, box)[-1] == (6, curve[-1][1])


def test_methods_have_frontiers_of_their_own() -> None:
    rows = [row(0, 0.5, 1, 10, method="prompt"), row(1, 0.9, 1, 10), row(2, 0.8, 2, 20)]
    assert [r.trial for r in frontier(rows, DEFAULT_GOALS)] == [1]
    fronts = frontiers_by_method(rows, DEFAULT_GOALS)
    assert {m: [r.trial for r in front] for m, front in fronts.items()} == {"lora": [1], "prompt": [0]}


def test_attainment_over_runs() -> None:
    runs = [[row(0, 0.5, 1, 10), row(1, 0.9, 10, 10)], [row(0, 0.7, 2, 10)]]
    corners = attainment(runs, DEFAULT_GOALS, (QUALITY, COST))
    values = {(c["share"], c["quality"], c["cost_usd_per_1k"]) for c in corners}
    assert values == {(0.5, 0.5, 1), (0.5, 0.7, 2), (0.5, 0.9, 10), (1.0, 0.5, 2), (1.0, 0.7, 10)}


def test_a_box_without_measured_trials_is_an_error() -> None:
    with pytest.raises(UserError, match="no trial was measured in full"):
        reference_of([row(0, 0.5, 1, 10, state="failed")], DEFAULT_GOALS)
