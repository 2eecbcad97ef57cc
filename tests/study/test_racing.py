"""Prompts race on the same rows: a clearly worse one is dropped, an equal one almost never."""

import numpy as np

from autoadapt.domain.objective import DEFAULT_GOALS
from autoadapt.study.racing import LEVEL, Runner, beaten_by


def runner(scores: object, cost: float = 1.0, latency: float = 1.0) -> Runner:
    return Runner(np.array(scores, float), {"quality": 0.5, "cost_usd_per_1k": cost, "latency_ms": latency})


def beaten(one: Runner, others: dict[int, Runner]) -> int | None:
    return beaten_by(one, others, DEFAULT_GOALS)


def test_prompt_that_another_beats_on_the_same_rows_is_dropped() -> None:
    good, bad = runner([1] * 100), runner([0] * 10 + [1] * 30)
    assert beaten(bad, {3: good}) == 3
    assert beaten(runner([1] * 40), {3: good}) is None


def test_more_expensive_or_slower_prompt_beats_nothing() -> None:
    bad = runner([0] * 40)
    assert beaten(bad, {0: runner([1] * 100, cost=1.1)}) is None
    assert beaten(bad, {0: runner([1] * 100, latency=1.1)}) is None
    assert beaten(bad, {0: runner([1] * 100, cost=1.1), 1: runner([1] * 100)}) == 1


def test_share_of_equal_prompts_dropped_is_at_most_the_level() -> None:
    random = np.random.default_rng(0)
    dropped = 0
    for _ in range(1000):
        others = {i: runner(random.random(200) < 0.7) for i in range(5)}
        dropped += beaten(runner(random.random(67) < 0.7), others) is not None
    assert dropped <= 1000 * LEVEL
