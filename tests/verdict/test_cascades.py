"""Thresholds of cascades against populations whose true losses are known, and latency against its simulation."""

import numpy as np
import pytest

from autoadapt.economics.rates import mixed_latency
from autoadapt.metrics.accuracy import Accuracy
from autoadapt.metrics.macro_f1 import MacroF1
from autoadapt.verdict.cascades import RISK, TOLERATED_LOSS, _p_of_loss, cascaded, choose_threshold, least_rows


def answers(seed: int, rows: int, informative: bool = True, second: float = 0.9) -> tuple[np.ndarray, ...]:
    """Confidences of a first part, and whether both parts are right.

    The first part is right with its confidence as the probability, so that with confidences spread from 0.4 to 1 it
    loses against the second part where it is less sure than that one is right.
    """
    random = np.random.default_rng(seed)
    confidence = 0.4 + 0.6 * random.random(rows) ** 0.4
    first = (random.random(rows) < confidence).astype(float)[:, None]
    better = (random.random(rows) < second).astype(float)[:, None]
    if not informative:
        confidence = random.random(rows)
    return confidence, first, better


@pytest.mark.parametrize("right", [0.7, 1.0])
def test_fewest_rows_on_which_equal_parts_can_be_assured(right: float) -> None:
    def found(rows: int) -> object:
        same = (np.arange(rows) < right * rows).astype(float)[:, None]
        return choose_threshold(Accuracy(), np.linspace(0.5, 1, rows), same, same)

    assert found(least_rows() - 1) is None
    assert found(least_rows()) is not None


def true_loss(threshold: float, informative: bool = True, second: float = 0.9) -> float:
    confidence, first, better = answers(10_000, 400_000, informative, second)
    together = cascaded(confidence >= threshold, first, better)
    return float(better.mean() - together.mean())


def test_rows_are_answered_by_the_part_that_keeps_them() -> None:
    first, second = np.array([[1.0], [1.0], [0.0]]), np.array([[0.0], [0.0], [1.0]])
    together = cascaded(np.array([True, False, False]), first, second)
    assert together[:, 0].tolist() == [1.0, 0.0, 1.0]


def test_a_sure_first_part_keeps_rows_and_loses_nothing_that_counts() -> None:
    confidence, first, second = answers(0, 4000)
    found = choose_threshold(Accuracy(), confidence, first, second)
    assert found is not None
    assert found.kept == pytest.approx((confidence >= found.threshold).mean())
    assert 0.4 < found.kept < 1
    assert true_loss(found.threshold) <= TOLERATED_LOSS


def test_confidence_that_says_nothing_keeps_next_to_nothing() -> None:
    confidence, first, second = answers(1, 4000, informative=False)
    found = choose_threshold(Accuracy(), confidence, first, second)
    assert found is None or found.kept <= 0.1


def test_the_risk_of_losing_more_than_tolerated_is_kept() -> None:
    """The naive rule, the largest share that lost no more on validation rows, breaks it."""
    runs, broken, naive = 200, 0, 0
    for seed in range(runs):
        confidence, first, second = answers(seed, 300)
        found = choose_threshold(Accuracy(), confidence, first, second)
        broken += found is not None and true_loss(found.threshold) > TOLERATED_LOSS
        seen = [t for t in confidence if (second - cascaded(confidence >= t, first, second)).mean() <= 0.005]
        naive += true_loss(min(seen)) > TOLERATED_LOSS
    assert broken / runs <= RISK + 3 * (RISK * (1 - RISK) / runs) ** 0.5
    assert naive / runs > 2 * RISK


def test_no_threshold_is_assured_by_few_rows() -> None:
    ones = np.ones((36, 1))
    assert choose_threshold(Accuracy(), np.linspace(0.5, 1, 36), ones, ones) is None


def test_exactness_where_no_row_differs() -> None:
    """Without any loss in n rows a loss of one point is refuted at 10 % from about n = 230 on: 0.99 ** 230 = 0.1."""
    for rows, assured in ((220, False), (240, True)):
        ones = np.ones((rows, 1))
        assert (choose_threshold(Accuracy(), np.linspace(0.5, 1, rows), ones, ones) is not None) is assured


@pytest.mark.parametrize("rates", [(0.03, 0.02), (0.06, 0.05), (0.015, 0.005)])
def test_p_of_a_loss_at_the_limit_is_as_uniform_as_drawn_rows_make_it(rates: tuple[float, float]) -> None:
    """Rows are lost and won with these probabilities, a loss of one point: p below 10 % in about 10 % of draws."""
    rows, random = 300, np.random.default_rng(11)
    low = 0
    for lost, won, _ in random.multinomial(rows, [*rates, 1 - sum(rates)], size=2000):
        difference = (won - lost) / rows
        deviation = np.sqrt(((lost + won) / rows - difference**2) / rows)
        low += _p_of_loss(difference, deviation, rows, 0.01) <= 0.1
    assert low / 2000 <= 0.115


def test_a_metric_that_is_no_mean_is_resampled() -> None:
    random = np.random.default_rng(5)
    rows, labels = 3000, 4
    truth = random.integers(labels, size=rows)
    confidence, right, better = answers(6, rows)
    wrong = (truth + 1) % labels
    stats = [np.stack([r[:, 0], truth, np.where(r[:, 0] > 0, truth, wrong)], 1) for r in (right, better)]
    by_f1, by_accuracy = (choose_threshold(m, confidence, *stats) for m in (MacroF1(), Accuracy()))
    assert by_f1 is not None
    assert by_accuracy is not None
    assert by_f1.kept == pytest.approx(by_accuracy.kept, abs=0.11), "with equal classes both metrics say the same"


@pytest.mark.parametrize("lengths", [(4000, 4000), (400, 300)])
@pytest.mark.parametrize("percent", [50, 95])
def test_latency_is_the_quantile_of_a_simulated_mixture(lengths: tuple[int, int], percent: float) -> None:
    random = np.random.default_rng(8)
    first, second = random.gamma(4, 1.0, lengths[0]), random.gamma(3, 10.0, lengths[1])
    kept = random.random(400_000) < 0.6
    drawn = random.choice(first, 400_000) + np.where(kept, 0, random.choice(second, 400_000))
    assert mixed_latency(first, second, 0.6, percent) == pytest.approx(np.percentile(drawn, percent), rel=0.05)


def test_latency_at_the_ends_is_that_of_the_parts() -> None:
    first, second = list(range(1, 101)), [1000.0] * 100
    assert mixed_latency(first, second, 1.0, 95) == 95
    assert mixed_latency(first, second, 0.0, 50) == 1050
    assert mixed_latency(first[:58], second[:58], 0.5, 95) is None
