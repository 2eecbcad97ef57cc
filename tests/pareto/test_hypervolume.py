"""Hypervolume against inclusion-exclusion and Monte Carlo, for 2 to 5 objectives in either direction."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.pareto.hypervolume import hypervolume, hypervolume_gains

Problem = tuple[list[list[float]], list[bool]]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    k = draw(st.integers(1, 5))
    value = st.one_of(st.integers(0, 4).map(lambda i: i / 4), st.floats(0, 1))
    rows = draw(st.lists(st.lists(value, min_size=k, max_size=k), max_size=6))
    return rows, draw(st.lists(st.booleans(), min_size=k, max_size=k))


def inclusion_exclusion(losses: np.ndarray, worst: np.ndarray) -> float:
    """Volume of the union of the boxes between points and reference: all intersections, with alternating signs."""
    total = 0.0
    for size in range(1, len(losses) + 1):
        for subset in combinations(losses, size):
            total -= (-1) ** size * np.maximum(worst - np.max(subset, axis=0), 0).prod()
    return total


@given(problems(), st.floats(0.3, 1.2))
def test_volume_is_that_of_the_union_of_boxes(problem: Problem, worst: float) -> None:
    rows, maximize = problem
    k, signs = len(maximize), np.where(maximize, -1.0, 1.0)
    reference = np.where(maximize, 1 - worst, worst)  # points beyond it occur, and must add nothing
    expected = inclusion_exclusion(np.array(rows).reshape(-1, k) * signs, reference * signs)
    assert hypervolume(rows, reference, maximize) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_volume_is_the_dominated_share_of_random_points(k: int) -> None:
    random = np.random.default_rng(k)
    rows, sample = random.random((40, k)), random.random((40_000, k))
    share = np.mean([(rows <= point).all(1).any() for point in sample])
    error = np.sqrt(share * (1 - share) / len(sample))
    assert hypervolume(rows, [1.0] * k, [False] * k) == pytest.approx(share, abs=4 * error)


@given(problems())
def test_repeated_points_add_nothing(problem: Problem) -> None:
    rows, maximize = problem
    reference = np.where(maximize, -0.1, 1.1)
    assert hypervolume(rows + rows, reference, maximize) == pytest.approx(hypervolume(rows, reference, maximize))


@given(problems(), st.randoms(use_true_random=False))
def test_gains_are_differences_of_volumes(problem: Problem, random: "np.random.Generator") -> None:
    rows, maximize = problem
    k = len(maximize)
    minimize, reference, front = [False] * k, np.full(k, 0.9), np.array(rows).reshape(-1, k)
    candidates = np.array([[random.random() for _ in range(k)] for _ in range(4)])
    before = hypervolume(front, reference, minimize)
    expected = [hypervolume(np.vstack([front, [c]]), reference, minimize) - before for c in candidates]
    assert hypervolume_gains(candidates, front, reference) == pytest.approx(expected, abs=1e-9)


def test_points_at_or_beyond_the_reference_do_not_count() -> None:
    rows = [[0.5, 1.0, 2.0], [0.4, 3.0, 1.0], [0.1, 0.0, 0.0]]
    assert hypervolume(rows, [0.1, 3.0, 3.0], [True, False, False]) == pytest.approx(0.4 * 2 * 1)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_row_with_an_infinitely_bad_or_unknown_value_adds_nothing(k: int, value: float) -> None:
    rows = np.full((2, k), 0.5)
    rows[0, 0] = value
    assert hypervolume(rows, [1.0] * k, [False] * k) == pytest.approx(0.5**k)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_an_infinitely_good_value_is_an_error(k: int) -> None:
    rows = np.full((2, k), 0.5)
    rows[0, 0] = -np.inf
    with pytest.raises(ValueError, match="finite"):
        hypervolume(rows, [1.0] * k, [False] * k)
