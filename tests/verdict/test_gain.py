"""What the search gained over its defaults: in quality against counts and resamples made here, in cost and latency by hand."""

from math import comb
from typing import Any

import numpy as np
import pytest
from test_scenarios import device, loaded, raw, under

from autoadapt.domain.option import RawOption, Recommendation
from autoadapt.domain.verdict import Defaults, Gain, Paired
from autoadapt.economics.pricer import Pricer
from autoadapt.shelves import METRICS
from autoadapt.verdict.comparisons import all_pairs
from autoadapt.verdict.gain import gain

ACCURACY = METRICS.get("accuracy")
DEFAULTS = Defaults(number=3, measured=[1, 2], refused=1, best=2)
FOUND, DEFAULT = 7, 2
ROWS = 400


def answers(seed: int, better: int, worse: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether the found option and the default are right: on so many rows the one alone, on so many the other alone."""
    both = np.random.default_rng(seed).random(ROWS - better - worse) < 0.7
    found = np.concatenate([np.ones(better), np.zeros(worse), both])
    default = np.concatenate([np.zeros(better), np.ones(worse), both])
    order = np.random.default_rng(seed + 1).permutation(ROWS)
    return found[order][:, None], default[order][:, None]


def gained(
    found: RawOption,
    default: RawOption,
    pairs: list[Paired],
    defaults: Defaults = DEFAULTS,
    recommended: int | None = FOUND,
) -> Gain:
    terms = under()
    options = [Pricer(one, terms).as_option(terms.cell()) for one in (found, default)]
    advice = Recommendation(
        scenario="task",
        trial=recommended,
        reason="",
        meets_constraints=recommended is not None,
        **dict.fromkeys(("best_quality", "cheapest", "fastest", "baseline")),
    )
    return gain(advice, options, {one.trial: one for one in (found, default)}, pairs, defaults)


def of_rows(better: int, worse: int, seed: int = 0, **changes: Any) -> Gain:
    first, second = answers(seed, better, worse)
    pairs = all_pairs(ACCURACY, {DEFAULT: second, FOUND: first})
    return gained(raw(FOUND, "head", **changes), raw(DEFAULT, "full"), pairs)


def mcnemar(better: int, worse: int) -> float:
    """Exact two-sided p of so many rows that just one of two options has right (McNemar 1947)."""
    n, k = better + worse, min(better, worse)
    return min(1.0, 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n)


@pytest.mark.parametrize(("better", "worse"), [(40, 10), (30, 20), (10, 40), (0, 3)])
def test_interval_and_p_are_those_of_paired_rows(better: int, worse: int) -> None:
    found = of_rows(better, worse).quality
    assert found is not None
    assert (found.trial, found.other, found.rows) == (FOUND, DEFAULT, ROWS)
    assert found.difference == pytest.approx((better - worse) / ROWS)
    assert found.p == pytest.approx(mcnemar(better, worse))
    # rows drawn with replacement: so many of each kind
    shares = [better / ROWS, worse / ROWS, 1 - (better + worse) / ROWS]
    drawn = np.random.default_rng(99).multinomial(ROWS, shares, size=40_000)
    low, high = np.percentile((drawn[:, 0] - drawn[:, 1]) / ROWS, [2.5, 97.5])
    assert found.low == pytest.approx(low, abs=0.005)
    assert found.high == pytest.approx(high, abs=0.005)


def test_clear_difference_is_called_better() -> None:
    line = of_rows(60, 10).sentence
    assert line.startswith(
        "Gain of the search: trial 7 (head) is better than the best default, trial 2 (full), by +12.5 points [+"
    )
    assert "on 400 test rows; it costs" in line


def test_difference_inside_its_interval_is_not_called_a_gain() -> None:
    found = of_rows(30, 20)
    assert found.quality is not None
    assert found.quality.low < 0 < found.quality.high
    assert (
        "trial 7 (head) is not shown to be better than the best default, trial 2 (full): it differs by +2.5 points ["
        in found.sentence
    )
    assert "which may be chance" in found.sentence
    assert "is better" not in found.sentence


def test_interval_above_0_with_a_test_that_finds_nothing_is_not_called_a_gain() -> None:
    """Six rows against none: the bootstrap cannot draw a loss, the exact test is significant; five: it is not."""
    assert mcnemar(6, 0) < 0.05 < mcnemar(5, 0)
    six, five = of_rows(6, 0), of_rows(5, 0)
    assert six.quality is not None
    assert five.quality is not None
    assert five.quality.low > 0
    assert "is better than" in six.sentence
    assert "is not shown to be better than" in five.sentence


def test_worse_option_is_called_worse() -> None:
    assert "trial 7 (head) is worse than the best default, trial 2 (full), by -7.5 points" in of_rows(10, 40).sentence


def test_cost_and_latency_by_hand() -> None:
    # 2 s for 100 rows is $0.02 per 1k, and $1 of training over a million queries $0.001; a tenth of the seconds: $0.003
    found = of_rows(40, 10, answering=device(0.2), latency_p95_ms=125.0)
    assert found.cost_usd_per_1k == pytest.approx((0.003, 0.021))
    assert found.latency_ms == (125.0, 50.0)
    assert (
        "it costs $0.003 per 1k against $0.021 (7 times less), and its p95 latency is 125 ms against 50 ms (2.5 times "
        "slower)." in found.sentence
    )
    same = of_rows(40, 10, latency_p95_ms=52.0)
    assert "(about as much), and its p95 latency is 52 ms against 50 ms (about as fast)." in same.sentence


def test_latency_under_load_is_not_compared_with_that_of_single_requests() -> None:
    busy = loaded((2.0, 400.0))
    one = of_rows(40, 10, load=busy, latency_p95_ms=25.0)
    assert one.latency_ms == (25.0, 50.0)
    assert "its p95 latency of single requests is 25 ms against 50 ms (2 times faster)" in one.sentence
    pairs = all_pairs(ACCURACY, dict(zip((FOUND, DEFAULT), answers(0, 40, 10), strict=True)))
    both = gained(raw(FOUND, "head", load=busy), raw(DEFAULT, "full", load=loaded((2.0, 100.0))), pairs)
    assert both.latency_ms == (400.0, 100.0)
    few = of_rows(40, 10, latency_p95_ms=None, latency_p50_ms=20.0)
    assert few.latency_ms == (20.0, 40.0)
    assert "its median latency is 20 ms against 40 ms" in few.sentence


def test_number_of_defaults_that_were_measured_is_stated() -> None:
    assert of_rows(40, 10).sentence.endswith(
        "2 of 3 defaults were measured in full (1 of the others cannot work here); the best default is the best of these."
    )
    first, second = answers(0, 40, 10)
    pairs = all_pairs(ACCURACY, {DEFAULT: second, FOUND: first})
    whole = DEFAULTS.model_copy(update={"number": 2, "refused": 0})
    assert gained(raw(FOUND, "head"), raw(DEFAULT, "full"), pairs, whole).sentence.endswith(
        "All 2 defaults were measured in full."
    )


def test_recommended_default_means_that_the_search_found_nothing_better() -> None:
    found = gained(raw(FOUND, "head"), raw(DEFAULT, "full"), [], recommended=DEFAULT)
    assert found.is_default
    assert found.quality is None
    assert found.sentence.startswith(
        "Gain of the search: none. Trial 2 (full) is itself a default: the search found nothing better than its defaults."
    )


def test_recommended_default_is_compared_with_a_better_one() -> None:
    first, second = answers(0, 10, 20)
    pairs = all_pairs(ACCURACY, {DEFAULT: second, FOUND: first})
    defaults = DEFAULTS.model_copy(update={"measured": [DEFAULT, FOUND]})
    found = gained(raw(FOUND, "head"), raw(DEFAULT, "full"), pairs, defaults)
    assert found.is_default
    assert (
        "nothing better than its defaults. Trial 7 (head) is not shown to be better than the best of them, trial 2 (full)"
        in found.sentence
    )


def test_without_test_rows_the_difference_on_validation_rows_is_no_gain() -> None:
    found = gained(raw(FOUND, "head", quality=0.83), raw(DEFAULT, "full", quality=0.8), [])
    assert found.quality is None
    assert (
        "is not shown to be better than the best default, trial 2 (full): it differs by +3.0 points on"
        in found.sentence
    )
    assert "validation rows, by which both were chosen; they were not both scored on test rows" in found.sentence


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"number": 0, "measured": [], "refused": 0, "best": None},
            "not known, because the study began without defaults.",
        ),
        (
            {"number": 3, "measured": [], "refused": 1, "best": None},
            "not known, because none of its 3 defaults was measured in full (1 cannot work here).",
        ),
        (
            {"number": 1, "measured": [], "refused": 0, "best": None},
            "not known, because its only default was not measured in full.",
        ),
    ],
)
def test_without_a_measured_default_the_line_says_so(changes: dict[str, Any], expected: str) -> None:
    found = gained(raw(FOUND, "head"), raw(DEFAULT, "full"), [], DEFAULTS.model_copy(update=changes))
    assert found.sentence == f"Gain of the search: {expected}"


def test_without_a_recommendation_nothing_is_compared() -> None:
    found = gained(raw(FOUND, "head"), raw(DEFAULT, "full"), [], recommended=None)
    assert found.trial is None
    assert "no option is recommended that could be compared with the best default, trial 2 (full)." in found.sentence
