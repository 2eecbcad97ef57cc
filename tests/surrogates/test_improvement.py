"""Expected gain in hypervolume against simulation: draw the uncertain objective, and average the gains in volume."""

import numpy as np
import pytest
from conftest import slow_after
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.pareto.hypervolume import hypervolume
from autoadapt.surrogates.improvement import expected_hypervolume_improvement, expected_improvement

DRAWS = 2000


def volume(rows: np.ndarray, reference: np.ndarray) -> float:
    return hypervolume(rows, reference, [True] + [False] * (len(reference) - 1))


@pytest.mark.parametrize("known_count", slow_after(2, [1, 2, 3, 4]))
@pytest.mark.parametrize("points", [0, 1, 8])
def test_expected_improvement_is_the_mean_gain(known_count: int, points: int) -> None:
    random = np.random.default_rng([known_count, points])
    front = random.random((points, 1 + known_count))
    reference = np.array([0.1, *[0.9] * known_count])
    mean, deviation = random.random(6), random.uniform(0.02, 0.3, 6)
    known = random.random((6, known_count)) * 0.8
    known[0, -1] = 0.95  # beyond the reference: no gain whatever the uncertain objective
    expected = expected_hypervolume_improvement(mean, deviation, known, front, reference)
    before = volume(front, reference)
    for i in range(6):
        drawn = random.normal(mean[i], deviation[i], DRAWS)
        gains = [volume(np.vstack([front, [q, *known[i]]]), reference) - before for q in drawn]
        error = np.std(gains) / np.sqrt(DRAWS)
        assert abs(expected[i] - np.mean(gains)) < 4 * error + 1e-6
    assert expected[0] == 0


@given(st.integers(1, 4), st.integers(0, 10_000))
def test_a_sure_candidate_gains_the_difference_of_volumes(known_count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    # few distinct values, so that candidates tie with points of the frontier and with the reference
    front = random.integers(0, 5, (6, 1 + known_count)) / 4
    rows = random.integers(0, 5, (5, 1 + known_count)) / 4
    reference = np.array([0.0, *[1.0] * known_count])
    expected = expected_hypervolume_improvement(rows[:, 0], np.full(5, 1e-9), rows[:, 1:], front, reference)
    gains = [volume(np.vstack([front, row]), reference) - volume(front, reference) for row in rows]
    assert expected == pytest.approx(gains, abs=1e-6)


@given(st.integers(1, 3), st.integers(0, 10_000))
def test_a_known_objective_that_is_equal_everywhere_only_scales_the_gain(known_count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    front, known = random.random((5, 1 + known_count)), random.random((4, known_count))
    mean, deviation, reference = random.random(4), random.uniform(0.05, 0.3, 4), np.array([0.0, *[1.0] * known_count])
    expected = expected_hypervolume_improvement(mean, deviation, known, front, reference)
    front, known = np.c_[front, np.full(5, 2.0)], np.c_[known, np.full(4, 2.0)]
    wider = expected_hypervolume_improvement(mean, deviation, known, front, np.append(reference, 2.5))
    assert wider == pytest.approx(0.5 * expected, abs=1e-9)


def test_one_dimensional_improvement_is_the_mean_excess() -> None:
    random = np.random.default_rng(0)
    drawn = random.normal(0.4, 0.2, 200_000)
    expected = expected_improvement(np.array([0.4]), np.array([0.2]), 0.5)
    assert expected[0] == pytest.approx(np.maximum(drawn - 0.5, 0).mean(), rel=0.02)
