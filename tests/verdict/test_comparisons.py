"""Options on the same rows: paired tests, Holm, ties, differences within measurement error, the cheaper equivalent."""

import numpy as np
import pytest
from conftest import slow_after
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from autoadapt.domain.option import Option
from autoadapt.domain.task import Advice, Constraints
from autoadapt.domain.verdict import Compared, Paired
from autoadapt.shelves import METRICS
from autoadapt.verdict.comparisons import (
    all_pairs,
    difference_text,
    dominated_within_error,
    holm,
    p_value,
    paired,
    pairs_with,
    points,
)
from autoadapt.verdict.explanation import reasons
from autoadapt.verdict.recommendation import Trade, best_of, recommend, tied_with

ACCURACY, ROUGE, MACRO = (METRICS.get(n) for n in ("accuracy", "rouge_l", "macro_f1"))


def right(*flags: int) -> np.ndarray:
    return np.array(flags, dtype=float)[:, None]


def test_mcnemar_by_hand() -> None:
    # 8 rows only the first has right, 1 only the second: two-sided p = 2 * (1 + 9) / 2^9
    first = right(*[1] * 8, 0, *[1] * 11)
    second = right(*[0] * 8, 1, *[1] * 11)
    found = paired(ACCURACY, first, second, (3, 5))
    assert found.p == pytest.approx(20 / 512)
    assert found.difference == pytest.approx(7 / 20)
    assert found.low < 7 / 20 < found.high
    assert found.low > 0
    turned = paired(ACCURACY, second, first, (5, 3))
    assert turned.p == found.p
    assert turned.difference == -found.difference


def test_equal_answers_have_difference_0_with_the_exact_binomial_bound() -> None:
    found = paired(ACCURACY, right(1, 0, 1, 1), right(1, 0, 1, 1), (0, 1))
    assert (found.difference, found.p) == (0, 1)
    assert found.low == -found.high == pytest.approx(-(1 - 0.025 ** (1 / 4)))
    many = paired(ACCURACY, right(*[1] * 400), right(*[1] * 400), (0, 1))
    assert many.high < 0.01


def test_options_with_different_numbers_of_rows_are_compared_on_those_of_both() -> None:
    more, fewer = right(*[1, 0] * 20, *[1] * 60), right(*[0, 0] * 20)
    assert paired(ACCURACY, more, fewer, (0, 7)) == paired(ACCURACY, more[:40], fewer, (0, 7))
    assert paired(ACCURACY, fewer, more, (7, 0)).rows == 40


def test_pairs_are_compared_again_when_more_rows_are_known() -> None:
    known: dict[tuple[int, int], Paired] = {}
    few = {0: right(*[1, 0] * 10), 1: right(*[0] * 20)}
    assert [pair.rows for pair in all_pairs(ACCURACY, few, 0, known)] == [20]
    more = {0: right(*[1, 0] * 20), 1: right(*[0] * 40)}
    assert all_pairs(ACCURACY, more, 0, known) == all_pairs(ACCURACY, more)


@pytest.mark.parametrize("metric", slow_after(1, [MACRO, ROUGE]), ids=["macro_f1", "rouge_l"])
def test_random_swaps_give_uniform_p_without_a_difference_and_small_p_with_one(metric: object) -> None:
    random = np.random.default_rng(0)
    same, p_same, p_better = 120, [], []
    for seed in range(24):
        base = random.random(same)
        noise = random.normal(0, 0.2, (2, same))
        if metric is ROUGE:
            a, b = (np.clip(base + n, 0, 1)[:, None] for n in noise)
            better = np.clip(base + noise[1] + 0.12, 0, 1)[:, None]
        else:
            truth = random.integers(0, 3, same)

            def answers(share: float, truth: np.ndarray = truth) -> np.ndarray:
                hit = random.random(same) < share
                predicted = np.where(hit, truth, (truth + random.integers(1, 3, same)) % 3)
                return np.stack([hit, truth, predicted], 1).astype(float)

            a, b, better = answers(0.7), answers(0.7), answers(0.9)
        p_same.append(p_value(metric, a, b, seed))  # type: ignore[arg-type]
        p_better.append(p_value(metric, a, better, seed))  # type: ignore[arg-type]
    assert kstest(p_same, "uniform").pvalue > 0.001, "under no difference p is uniform"
    assert np.mean(np.array(p_better) < 0.05) > 0.8


def test_holm_by_hand() -> None:
    # 0.01 * 4, 0.02 * 3, then never below the one before, at most 1
    assert holm({1: 0.04, 2: 0.01, 3: 0.9, 4: 0.02}) == pytest.approx({2: 0.04, 4: 0.06, 1: 0.08, 3: 0.9})
    assert holm({1: 0.6, 2: 0.7}) == pytest.approx({1: 1.0, 2: 1.0})
    assert holm({}) == {}


@given(st.dictionaries(st.integers(0, 20), st.floats(0, 1), min_size=1))
def test_holm_keeps_the_order_and_lowers_no_p_value(p: dict[int, float]) -> None:
    found = holm(p)
    assert all(p[k] <= found[k] <= 1 for k in p)
    ordered = sorted(p, key=lambda k: p[k])
    assert [found[k] for k in ordered] == sorted(found.values())


def test_pairs_with_gives_every_difference_from_the_other_option() -> None:
    pairs = all_pairs(ACCURACY, {1: right(1, 1, 0, 0), 2: right(1, 0, 0, 0), 3: right(1, 1, 1, 0)})
    found = pairs_with(2, pairs)
    assert {t: (p.trial, p.other, round(p.difference, 2)) for t, p in found.items()} == {
        1: (1, 2, 0.25),
        3: (3, 2, 0.5),
    }


def test_options_dominated_within_measurement_error() -> None:
    def point(quality: float, cost: float, latency: float = 10) -> dict[str, float]:
        return {"quality": quality, "cost_usd_per_1k": cost, "latency_ms": latency}

    points = {0: point(0.8, 1.0), 1: point(0.79, 1.1), 2: point(0.79, 2.0), 3: point(0.6, 1.1), 4: point(0.79, 1.1, 20)}
    found = dominated_within_error(points, [0], lambda a, b: points[a]["quality"] < points[b]["quality"] - 0.1)
    assert found == [1], "2 costs clearly more, 3 is clearly worse, 4 is clearly slower"
    assert dominated_within_error(points, [0, 1], lambda a, b: False) == [3], "only the frontier is compared with"


def option(trial: int, quality: float, cost: float, **more: object) -> Option:
    fields: dict[str, object] = {
        "trial": trial,
        "method": "lora",
        "model": "m",
        "params": {},
        "quality": quality,
        "quality_ci": (quality - 0.06, quality + 0.06),
        "quality_expected": quality,
        "test_quality": quality,
        "test_quality_ci": (quality - 0.06, quality + 0.06),
        "test_rows": 200,
        "train_seconds": 1.0,
        "artifact_bytes": 1,
        "peak_memory_bytes": 1,
        "values": {},
        "latency_p50_ms": 10.0,
        "latency_p95_ms": 12.0,
        "cost_usd_per_1k": cost,
        "inference_usd_per_1k": cost,
        "training_usd": 0.0,
    }
    return Option(**{**fields, **more})  # type: ignore[arg-type]


def pair(trial: int, other: int, difference: float, p: float) -> Paired:
    return Paired(
        trial=trial, other=other, rows=200, difference=difference, low=difference - 0.03, high=difference + 0.03, p=p
    )


CHOICE = [option(1, 0.9, 1.0, latency_p95_ms=40.0), option(2, 0.88, 0.2), option(3, 0.87, 0.1)]
CHOICE_PAIRS = [pair(1, 2, 0.02, 0.4), pair(1, 3, 0.03, 0.001), pair(2, 3, 0.01, 0.5)]


def trade(points: float, queries: float | None = None, least_usd: float = 0.01) -> Trade:
    return Trade(Advice(give_up_points=points, least_saving_usd=least_usd), queries)


def test_a_cheaper_option_that_loses_no_more_than_may_be_given_up_is_recommended() -> None:
    advice = recommend(CHOICE, Constraints(), None, CHOICE_PAIRS, trade(5, 2000))
    assert (advice.trial, advice.cheaper_equivalent, advice.tied, advice.best_quality) == (2, 2, [2], 1)
    assert "it loses no more than the 5 points that may be given up" in advice.reason
    assert "5 times less, which saves $1.60 a month," in advice.reason
    assert "3.3 times faster" in advice.reason
    assert "[-5.0, +1.0]" in advice.reason, "how much worse it may be"


def test_a_cheaper_option_that_may_lose_more_is_named_with_the_bound_but_not_recommended() -> None:
    advice = recommend(CHOICE, Constraints(), None, CHOICE_PAIRS, trade(4.9, 2000))
    assert (advice.trial, advice.cheaper_equivalent) == (1, None)
    assert "Trial 2 (lora) comes nearest to it for less" in advice.reason
    assert "may be up to 5.0 points worse (-2.0 points [-5.0, +1.0] on 200 test rows)" in advice.reason
    assert "more than the 4.9 points that may be given up" in advice.reason


def test_without_test_rows_no_cheaper_option_is_recommended() -> None:
    advice = recommend(CHOICE, Constraints(), None, (), trade(100))
    assert advice.trial == 1
    assert "No cheaper one is shown to lose no more than the 100 points" in advice.reason


def test_under_a_cent_a_month_cost_decides_nothing() -> None:
    little = recommend(CHOICE, Constraints(), None, CHOICE_PAIRS, trade(5, 11))
    assert little.trial == 1, "trial 3 would save $0.0099, trial 2 $0.0088"
    assert "Cheaper ones save at most $0.0099 a month, which decides nothing." in little.reason
    assert recommend(CHOICE, Constraints(), None, CHOICE_PAIRS, trade(5, 13)).trial == 2, "it saves $0.0104"
    assert recommend(CHOICE, Constraints(), None, CHOICE_PAIRS, trade(5, 13, least_usd=0.02)).trial == 1


def test_an_option_significantly_better_on_test_rows_becomes_the_best() -> None:
    options = [option(1, 0.9, 1.0), option(2, 0.88, 1.0, test_quality=0.95)]
    assert best_of(options, [pair(1, 2, -0.05, 0.2)]).trial == 1
    assert best_of(options, [pair(1, 2, -0.05, 0.001)]).trial == 2


def test_holm_corrects_for_all_comparisons_with_the_best() -> None:
    options = [option(1, 0.9, 1.0), *(option(t, 0.88, 1.0) for t in range(2, 8))]
    one = [pair(1, 2, 0.02, 0.04)]
    assert tied_with(options[0], options[:2], one) == []
    many = one + [pair(1, t, 0.02, 0.5) for t in range(3, 8)]
    assert 2 in tied_with(options[0], options, many), "the best of six p-values is below 0.05 by chance often enough"


def test_reasons_are_sentences_with_figures() -> None:
    untuned = option(5, 0.5, 0.01, method="prompt", on_frontier=False, shown_as="baseline")
    options = [option(1, 0.9, 1.0), option(2, 0.88, 0.2), untuned]
    pairs = [pair(1, 2, 0.02, 0.4), pair(1, 5, 0.4, 1e-9), pair(2, 5, 0.38, 1e-9)]
    advice = recommend(options, Constraints(), 5, pairs, trade(5))
    lines = reasons(options, advice, [], Constraints())
    assert lines[0] == advice.reason
    assert lines[1] == (
        "Trial 1 (lora) is 2.0 points better on test rows; it costs 5 times more and answers about as fast."
    )
    assert lines[2].startswith("Trial 5 (prompt, the untuned prompt) is 38.0 points worse on test rows")
    compared = [
        Compared(**p.reversed().model_dump(), p_holm=q, tied=tied)
        for p, q, tied in zip(pairs[:2], (0.4, 1e-9), (True, False), strict=True)
    ]
    lines = reasons(options, recommend(options[:1], Constraints(), 5), compared, Constraints())
    assert "2.0 points worse on test rows, which may be chance;" in lines[1]
    assert "40.0 points worse on test rows, which is significant (p < 0.001);" in lines[2]
    doubtful = [compared[0], compared[1].model_copy(update={"p_holm": 0.3})]
    assert (
        "which is not significant on test rows (p 0.300), but is on validation rows"
        in reasons(options, recommend(options[:1], Constraints(), 5), doubtful, Constraints())[2]
    )
    limited = Constraints(cost_usd_per_1k=0.5)
    lines = reasons(options, recommend(options, limited, 5, pairs), [], limited)
    assert "Trial 1 (lora) cannot be recommended under the constraints: its cost $1 per 1k is above $0.5." in lines


def test_difference_is_never_a_negative_zero() -> None:
    assert difference_text(-0.0001, -0.034, 0.0004) == "+0.0 points [-3.4, +0.0]"
    assert points(-0.0012) == "-0.1"


def test_equal_right_rows_with_other_wrong_labels_are_no_tie_of_macro_f1() -> None:
    """Both answer the same rows right; one puts its mistakes into a rare label, whose F1 falls."""
    truth = np.array([0] * 90 + [1] * 90 + [2] * 20)
    first, second = truth.copy(), truth.copy()
    first[:30], second[:30] = 1, 2
    a, b = (np.column_stack([truth == guess, truth, guess]).astype(float) for guess in (first, second))
    found = paired(MACRO, a, b, (0, 1))
    assert found.difference == pytest.approx(MACRO.value(a) - MACRO.value(b))
    assert 0 < found.low < found.difference < found.high
    assert found.high - found.low > 0.01
    assert found.p < 1e-3


def test_p_of_random_swaps_can_fall_below_one_in_their_number() -> None:
    """Against the exact test on the same flags, where the statistic is the same."""
    random = np.random.default_rng(3)
    for better, worse in ((40, 8), (60, 10), (30, 12), (90, 30)):
        flags = np.array([[1.0, 0.0]] * better + [[0.0, 1.0]] * worse + [[1.0, 1.0]] * 200)
        flags = flags[random.permutation(len(flags))]
        exact = p_value(ACCURACY, flags[:, :1], flags[:, 1:])
        swapped = p_value(ROUGE, flags[:, :1], flags[:, 1:])
        assert swapped == pytest.approx(exact, rel=0.9, abs=2e-3)
        if exact < 1e-5:
            assert swapped < 1e-4
            assert holm(dict.fromkeys(range(40), swapped))[0] < 0.05


def test_an_option_is_the_only_one_only_where_no_dominated_one_satisfies_the_constraints() -> None:
    dear = option(2, 0.95, 3.0, on_frontier=True, latency_p95_ms=900.0)
    best, dominated = option(0, 0.9, 1.0, on_frontier=True), option(1, 0.8, 1.0, on_frontier=False)
    limits = Constraints(latency_p95_ms=400)
    reason = recommend([best, dominated, dear], limits, None).reason
    assert "Trial 0 (lora) is the best option that satisfies the constraints" in reason
    slow = dominated.model_copy(update={"latency_p95_ms": 900.0})
    assert "is the only option that satisfies" in recommend([best, slow, dear], limits, None).reason
