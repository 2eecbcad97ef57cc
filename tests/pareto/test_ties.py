"""The frontier beyond the error of measurement, against plain dominance and by its definition."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.pareto.dominance import non_dominated
from autoadapt.pareto.ties import SURE, Standing, beyond_error

MAXIMIZE = (True, False, False)
NONE = (0.0, 0.0, 0.0)


def standing(quality: float, cost: float, latency: float, error: float = 0.0, group: str = "") -> Standing:
    return Standing((quality, cost, latency), (0.0, error, error), group)


def on_frontier(standings: list[Standing], least: tuple[float, ...] = NONE) -> list[bool]:
    return beyond_error(standings, MAXIMIZE, 0, least)


numbers = st.floats(0.1, 10)


@given(st.lists(st.tuples(st.floats(0, 1), numbers, numbers), max_size=12, unique_by=lambda row: row[0]))
def test_without_errors_it_is_the_frontier(rows: list[tuple[float, float, float]]) -> None:
    assert on_frontier([standing(*row) for row in rows]) == non_dominated(rows, MAXIMIZE).tolist()


@given(st.lists(st.tuples(st.floats(0, 1), numbers, numbers, st.floats(0, 0.3)), max_size=12))
def test_what_is_left_out_has_a_better_one_that_no_measurement_shows_to_be_worse(
    rows: list[tuple[float, float, float, float]],
) -> None:
    options = [standing(*row) for row in rows]
    flags = on_frontier(options)
    for option, flag in zip(options, flags, strict=True):
        covered = any(
            other.values[0] >= option.values[0] and all(not clearly_worse(other, option, k) for k in (1, 2))
            for other, kept in zip(options, flags, strict=True)
            if kept and other is not option
        )
        assert flag or covered


def clearly_worse(other: Standing, option: Standing, k: int) -> bool:
    """By the definition: the logarithm of the ratio is beyond 1.96 standard errors of the difference."""
    error = math.sqrt(other.errors[k] ** 2 + option.errors[k] ** 2)
    return math.log(other.values[k] / option.values[k]) > SURE * error + 1e-9


def by_definition(
    options: list[Standing], maximize: tuple[bool, ...], main: int, least: tuple[float, ...]
) -> list[bool]:
    """The docstring of `beyond_error`, option by option, in ratios of values above 0."""

    def lead(a: float, b: float, k: int) -> float:
        """By how much the second value is better than the first, in units of the objective."""
        return b - a if maximize[k] else a - b

    def as_good(one: Standing, other: Standing, k: int) -> bool:
        a, b = one.values[k], other.values[k]
        if k == main or lead(a, b, k) <= 0:
            return lead(a, b, k) <= 0
        same = bool(one.group) and one.group == other.group
        factor = math.exp(SURE * math.hypot(one.errors[k], other.errors[k]))
        return (same and lead(a, b, k) <= least[k]) or (a >= b * (2 - factor) if maximize[k] else a <= b * factor)

    keys = [main, *(k for k in range(len(maximize)) if k != main)]
    order = sorted(range(len(options)), key=lambda i: [(-1 if maximize[k] else 1) * options[i].values[k] for k in keys])
    kept: list[int] = []
    for i in order:
        if not any(all(as_good(options[j], options[i], k) for k in keys) for j in kept):
            kept.append(i)
    return [i in kept for i in range(len(options))]


def test_it_is_what_its_definition_says_in_thousands_of_random_cases() -> None:
    """An option that only one which is left out dominates may be on the frontier, and then keeps others from it."""
    random = np.random.default_rng(1)
    for case in range(4000):
        count, main = int(random.integers(1, 15)), int(random.integers(3))
        maximize = tuple(bool(flag) for flag in random.random(3) < 0.4)
        values = np.exp(random.normal(0, 0.3, (count, 3)))
        if case % 4 == 0:
            values = np.round(values * 4) / 4 + 0.25  # equal values
        errors = random.choice([0.0, 0.05, 0.1], (count, 3))
        options = [
            Standing(v.tolist(), e.tolist(), str(g))
            for v, e, g in zip(values, errors, random.choice(["a", "b", ""], count), strict=True)
        ]
        least = (0.0, float(random.choice([0.0, 0.1])), 0.0)
        expected = by_definition(options, maximize, main, least)
        assert beyond_error(options, maximize, main, least) == expected, case


def test_noise_in_latency_puts_no_worse_option_on_the_frontier() -> None:
    random = np.random.default_rng(0)
    options = [standing(0.5 + 0.01 * i, 1.0, float(20 * np.exp(random.normal(0, 0.08))), 0.08) for i in range(20)]
    assert sum(on_frontier(options)) <= 2
    exact = [Standing(o.values, NONE) for o in options]
    assert sum(on_frontier(exact)) > 2, "the same noise without its error"


def test_a_real_difference_stays_on_the_frontier() -> None:
    assert on_frontier([standing(0.9, 1.0, 40.0, 0.05), standing(0.6, 1.0, 4.0, 0.05)]) == [True, True]


def test_within_a_group_small_differences_in_cost_decide_nothing() -> None:
    options = [standing(0.90, 2.0, 20.0, group="a"), standing(0.89, 1.0, 20.0, group="a")]
    assert on_frontier(options, (0.0, 5.0, 0.0)) == [True, False]
    apart = [standing(0.90, 2.0, 20.0, group="a"), standing(0.89, 1.0, 20.0, group="b")]
    assert on_frontier(apart, (0.0, 5.0, 0.0)) == [True, True]


def test_a_value_that_is_not_known_keeps_its_option_and_no_other_out() -> None:
    assert on_frontier([standing(0.9, math.nan, 20.0), standing(0.8, 1.0, 30.0)]) == [True, True]
