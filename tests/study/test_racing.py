"""Prompts race on the same rows: the clearly worse is dropped, an equal one almost never."""

import numpy as np

from autoadapt.domain.option import Objectives
from autoadapt.study.racing import LEVEL, Runner, beaten_by


def runner(scores: object, cost: float = 1.0, latency: float = 1.0) -> Runner:
    return Runner(np.array(scores, float), Objectives(quality=0.5, cost_usd_per_1k=cost, latency_ms=latency))


def test_a_prompt_that_another_beats_on_the_same_rows_is_dropped() -> None:
    good, bad = runner([1] * 100), runner([0] * 10 + [1] * 30)
    assert beaten_by(bad, {3: good}) == 3
    assert beaten_by(runner([1] * 40), {3: good}) is None


def test_only_what_costs_no_more_and_is_no_slower_can_beat_it() -> None:
    bad = runner([0] * 40)
    assert beaten_by(bad, {0: runner([1] * 100, cost=1.1)}) is None
    assert beaten_by(bad, {0: runner([1] * 100, latency=1.1)}) is None
    assert beaten_by(bad, {0: runner([1] * 100, cost=1.1), 1: runner([1] * 100)}) == 1


def test_an_equal_prompt_is_dropped_in_at_most_the_level_of_the_looks() -> None:
    random = np.random.default_rng(0)
    dropped = 0
    for _ in range(1000):
        others = {i: runner(random.random(200) < 0.7) for i in range(5)}
        dropped += beaten_by(runner(random.random(67) < 0.7), others) is not None
    assert dropped <= 1000 * LEVEL
