"""Empirical attainment against its definition: the share of runs with a row at least as good in both columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.pareto.attainment import attainment_corners

Run = list[tuple[float, float]]
GRID = st.integers(0, 5).map(float)
RUNS = st.lists(st.lists(st.tuples(GRID, GRID), min_size=1, max_size=5), min_size=1, max_size=4)


@given(RUNS, st.tuples(st.booleans(), st.booleans()))
def test_a_point_is_attained_at_a_level_where_a_corner_of_the_level_is_as_good(
    runs: list[Run], maximize: tuple[bool, bool]
) -> None:
    signs = np.where(maximize, -1.0, 1.0)
    corners = attainment_corners(runs, maximize)
    for point in np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0)), -1).reshape(-1, 2):
        share = np.mean([(np.array(run) * signs <= point * signs).all(1).any() for run in runs])
        for level in {round(float(c[2]), 9) for c in corners}:
            reached = any((c[:2] * signs <= point * signs).all() for c in corners if round(float(c[2]), 9) == level)
            assert reached == (share >= level - 1e-9)


def test_only_the_levels_asked_for() -> None:
    corners = attainment_corners([[(0, 1)], [(1, 0)]], (False, False), [0.5, 1.0])
    assert {tuple(c) for c in corners.tolist()} == {(0, 1, 0.5), (1, 0, 0.5), (1, 1, 1)}


def test_runs_without_rows_attain_nothing() -> None:
    assert attainment_corners([[], []], (True, False)).shape == (0, 3)
    assert attainment_corners([[], [(1, 2)]], (True, False)).tolist() == [pytest.approx([1, 2, 1])]
