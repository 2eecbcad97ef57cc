"""Races: the better of two candidates is rarely dropped, and a truly better one wins."""

import math

import numpy as np
import pytest

from autoadapt.verdict.elimination import chance_of_better, dropped

ERROR, BLOCKS, ROWS = 0.2, 5, 20


def raced(qualities: list[float], keep: int, random: np.random.Generator, difficulty: bool = True) -> set[int]:
    """Who is left after a race on rows that are as hard for one as for another."""
    hard = random.random(BLOCKS * ROWS)
    scores = {
        i: ((0.5 * hard + 0.5 * random.random(len(hard)) if difficulty else random.random(len(hard))) < q).astype(float)
        for i, q in enumerate(qualities)
    }
    left = set(scores)
    for block in range(1, BLOCKS + 1):
        seen = {i: list(scores[i][: block * ROWS]) for i in left}
        left -= dropped(seen, dict.fromkeys(left, 0.0), keep, ERROR, BLOCKS)
        if len(left) <= keep:
            break
    return left


def test_of_two_equal_candidates_one_is_dropped_no_more_often_than_stated() -> None:
    random, races = np.random.default_rng(0), 1000
    falsely = sum(len(raced([0.6, 0.6], 1, random, difficulty=False)) == 1 for _ in range(races))
    # either of the two may be dropped: twice the error of one
    assert falsely / races <= 2 * ERROR + 3 * math.sqrt(0.24 / races)
    assert falsely / races > 0.02, "the test is not so careful that it never decides"


def test_the_best_of_several_is_rarely_dropped_and_the_worst_usually_is() -> None:
    random, races = np.random.default_rng(1), 400
    qualities = [0.75, 0.55, 0.55, 0.35, 0.35]
    left = [raced(qualities, 2, random) for _ in range(races)]
    assert sum(0 not in one for one in left) / races <= 0.01
    assert sum(not {3, 4} & one for one in left) / races >= 0.9


def test_a_race_asks_fewer_rows_than_scoring_all_in_full() -> None:
    random, asked = np.random.default_rng(2), 0
    for _ in range(200):
        scores = {i: (random.random(BLOCKS * ROWS) < q).astype(float) for i, q in enumerate([0.8, 0.7, 0.3, 0.3, 0.3])}
        left = set(scores)
        for block in range(1, BLOCKS + 1):
            asked += ROWS * len(left)
            left -= dropped(
                {i: list(scores[i][: block * ROWS]) for i in left}, dict.fromkeys(left, 0.0), 2, ERROR, BLOCKS
            )
            if len(left) <= 2:
                break
    assert asked < 0.7 * 200 * 5 * BLOCKS * ROWS


def test_p_value_agrees_with_a_t_test_on_the_rows_and_two_halves_of_each_combination() -> None:
    from scipy import stats

    random = np.random.default_rng(3)
    first, second = (random.random(30) < 0.7).astype(float), (random.random(30) < 0.5).astype(float)
    # half a row is half the weight: doubled rows with one of each combination, and the error of half as many
    doubled = np.concatenate([np.repeat(first - second, 2), [1, -1, 0, 0]])
    t = doubled.mean() / math.sqrt(doubled.var() / (len(doubled) / 2 - 1))
    assert chance_of_better(list(first), list(second)) == pytest.approx(stats.t.sf(t, len(doubled) / 2 - 1))


def test_few_equal_differences_are_not_taken_to_be_certain() -> None:
    assert chance_of_better([1.0] * 3, [0.0] * 3) > 0.01
    assert chance_of_better([1.0] * 20, [0.0] * 20) < 1e-6
    assert chance_of_better([0.0] * 20, [0.0] * 20, shift=0.01) > 0.4, "a shorter prompt alone proves nothing"
    assert chance_of_better([0.5] * 5, [0.5] * 5) == pytest.approx(0.5)


def test_nobody_is_dropped_where_all_are_wanted() -> None:
    assert dropped({1: [0.0] * 50, 2: [1.0] * 50}, {1: 0.0, 2: 0.0}, 2, ERROR, 1) == set()
    assert dropped({1: [0.0] * 50, 2: [1.0] * 50}, {1: 0.0, 2: 0.0}, 1, ERROR, 1) == {1}
