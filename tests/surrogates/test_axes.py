"""Encoded objectives: which way is better, units, errors and constraints."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.history import History, Reached, TrialHistory
from autoadapt.domain.objective import DEFAULT_GOALS, Goal, split_goals
from autoadapt.domain.task import Constraints
from autoadapt.errors import UserError
from autoadapt.surrogates.axes import Axes, Axis

MEMORY = Goal(name="memory_mb", direction="minimize", unit="MB")
SPEED = Goal(name="rows_per_second", direction="maximize", scale="log")
LOSS = Goal(name="perplexity", direction="minimize", uncertain=True, scale="log")


def history(goals: tuple[Goal, ...], rows: list[dict[str, float]], **changes: object) -> History:
    candidate = Candidate(method="prompt", model="m", params={})
    reached = [Reached(0, 1.0, values, 0.02, 1.0, 0.0, i) for i, values in enumerate(rows)]
    trials = tuple(TrialHistory(i, candidate, (r,), "done") for i, r in enumerate(reached))
    fields: dict[str, object] = {"left_seconds": None, "may_try": True, "constraints": Constraints(), "goals": goals}
    return History(trials, {}, ("m",), frozenset(), **{**fields, **changes})  # type: ignore[arg-type]


def test_default_objectives_are_quality_as_it_is_and_powers_of_ten() -> None:
    axes = Axes(history(DEFAULT_GOALS, [{"quality": 0.3, "cost_usd_per_1k": 0.01, "latency_ms": 1000.0}]))
    reached = Reached(0, 1.0, {"quality": 0.7, "cost_usd_per_1k": 0.1, "latency_ms": 100.0}, 0.05, 1.0, 0.0, 0)
    assert axes.uncertain.of_all([reached]).tolist() == [0.7]
    assert axes.uncertain.errors_of([reached]).tolist() == [0.05]
    assert axes.known_of([reached]).tolist() == [[math.log10(0.1), 2.0]]


def test_linear_values_are_in_units_of_the_measured_range() -> None:
    rows = [{"quality": 0.5, "memory_mb": 100.0}, {"quality": 0.6, "memory_mb": 300.0}]
    axes = Axes(history((DEFAULT_GOALS[0], MEMORY), rows))
    assert axes.known[0].encode(300.0) - axes.known[0].encode(100.0) == 1.0


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0])
def test_equal_linear_values_have_a_positive_span(value: float) -> None:
    axes = Axes(history((DEFAULT_GOALS[0], MEMORY), [{"quality": 0.5, "memory_mb": value}] * 2))
    assert axes.known[0].span > 0
    assert math.isfinite(axes.known[0].encode(value))


@given(st.sampled_from([*DEFAULT_GOALS, MEMORY, SPEED, LOSS]), st.floats(0.01, 1e6), st.sampled_from([1.0, 250.0]))
def test_decoding_undoes_encoding(goal: Goal, value: float, span: float) -> None:
    for sign in (1.0, -1.0):
        axis = Axis(goal, sign, span)
        assert axis.decode(axis.encode(value)) == pytest.approx(value)


def test_uncertain_values_rise_and_known_values_fall_as_they_get_better() -> None:
    rows = [{"perplexity": 4.0, "rows_per_second": 10.0}, {"perplexity": 2.0, "rows_per_second": 20.0}]
    axes = Axes(history((SPEED, LOSS), rows))
    assert axes.uncertain.encode(2.0) > axes.uncertain.encode(4.0)
    assert axes.known[0].encode(20.0) < axes.known[0].encode(10.0)


def test_the_error_of_a_logarithm_is_that_of_simulated_logarithms() -> None:
    drawn = np.random.default_rng(0).normal(4.0, 0.1, 100_000)
    assert Axis(LOSS, -1.0, 1.0).encode_error(4.0, 0.1) == pytest.approx(np.log10(drawn).std(), rel=0.02)


def test_constraints_limit_the_goals_that_they_name() -> None:
    limits = Constraints(quality=0.5, latency_p95_ms=100.0, memory_mb=10.0)
    row = {"quality": 0.5, "cost_usd_per_1k": 1.0, "latency_ms": 10.0, "memory_mb": 5.0}
    assert Axes(history(DEFAULT_GOALS, [row], constraints=limits)).limits == [0.5, None, 2.0]
    assert Axes(history((DEFAULT_GOALS[0], MEMORY), [row], constraints=limits)).limits == [0.5, None]


def test_without_an_uncertain_goal_the_first_is_taken_for_it() -> None:
    assert split_goals((MEMORY, SPEED)) == (MEMORY, (SPEED,))
    assert split_goals((MEMORY, SPEED, LOSS)) == (LOSS, (MEMORY, SPEED))


@pytest.mark.parametrize(
    ("goals", "message"),
    [
        ((MEMORY,), "2 to 5 objectives, not 1"),
        ((*DEFAULT_GOALS, MEMORY, SPEED, MEMORY.model_copy(update={"name": "other"})), "2 to 5 objectives, not 6"),
        ((MEMORY, MEMORY), "named once"),
        ((*DEFAULT_GOALS, LOSS), "quality, perplexity"),
    ],
)
def test_goals_that_do_not_fit_together_are_refused(goals: tuple[Goal, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        split_goals(goals)
