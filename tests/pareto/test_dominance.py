"""Dominance against its definition, for 1 to 5 objectives in either direction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.pareto.dominance import non_dominated

Rows = list[list[float]]


@st.composite
def problems(draw: st.DrawFn) -> tuple[Rows, list[bool]]:
    """Rows of few distinct values, so that ties and equal rows are common; and directions."""
    k = draw(st.integers(1, 5))
    value = st.one_of(st.integers(0, 3).map(float), st.floats(-1, 1), st.sampled_from([np.inf, -np.inf]))
    rows = draw(st.lists(st.lists(value, min_size=k, max_size=k), max_size=14))
    return rows, draw(st.lists(st.booleans(), min_size=k, max_size=k))


def dominates(a: list[float], b: list[float], maximize: list[bool]) -> bool:
    pairs = [(x, y) if up else (y, x) for x, y, up in zip(a, b, maximize, strict=True)]
    return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)


@given(problems())
def test_rows_that_no_other_dominates_are_kept(problem: tuple[Rows, list[bool]]) -> None:
    rows, maximize = problem
    expected = [not any(dominates(other, row, maximize) for other in rows) for row in rows]
    assert non_dominated(rows, maximize).tolist() == expected


@given(problems())
def test_order_does_not_matter(problem: tuple[Rows, list[bool]]) -> None:
    rows, maximize = problem
    assert non_dominated(rows[::-1], maximize).tolist() == non_dominated(rows, maximize).tolist()[::-1]


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_large_sets_agree_with_brute_force(k: int) -> None:
    rows = np.random.default_rng(k).integers(0, 6, (400, k)).astype(float)
    losses = rows * np.where(np.arange(k) == 0, -1, 1)
    expected = [not ((losses <= row).all(1) & (losses < row).any(1)).any() for row in losses]
    assert non_dominated(rows, [True] + [False] * (k - 1)).tolist() == expected


def test_equal_rows_are_all_kept() -> None:
    assert non_dominated([[1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 1]], [True, False, False, False]).tolist() == [1, 1, 0]


def test_a_row_with_nan_is_kept_and_dominates_none() -> None:
    rows = [[1.0, 2.0, 3.0], [np.nan, 0.0, 0.0], [0.0, 3.0, 4.0]]
    assert non_dominated(rows, [True, False, False]).tolist() == [True, True, False]


def test_no_rows() -> None:
    assert non_dominated([], [True, False]).shape == (0,)
