"""The spread among wordings against known truths, losses against their definition, and the limit of a task."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from autoadapt.domain.robustness import KindLoss, PerturbationKind, Robustness, VariantScores
from autoadapt.metrics.accuracy import Accuracy
from autoadapt.metrics.macro_f1 import MacroF1
from autoadapt.verdict.robustness import (
    greatest_loss,
    loss_interval,
    robustness,
    robustness_sentence,
    robustness_violations,
    row_values,
    spread,
)


def answered(rng: np.random.Generator, wordings: int, rows: int, deviation: float) -> Any:
    """Rows answered rightly or not under wordings whose true qualities have a standard deviation around 0.75.

    Most of a row's luck is its own, so that easy rows are right under every wording.
    """
    quality = np.clip(0.75 + rng.normal(0, deviation, wordings), 0.02, 0.98)
    luck = np.where(
        rng.uniform(size=(wordings, rows)) < 0.3, rng.uniform(size=(wordings, rows)), rng.uniform(size=rows)
    )
    return (luck < quality[:, None]).astype(float)


def simulated(deviation: float, wordings: int, count: int) -> list[Any]:
    rng = np.random.default_rng(1)
    return [spread(answered(rng, wordings, 200, deviation)) for _ in range(count)]


@pytest.mark.parametrize("truth", [0.0, 0.03, 0.06])
def test_the_estimated_variance_is_the_true_one_on_average_where_what_is_observed_is_too_great(truth: float) -> None:
    found = simulated(truth, 9, 400)
    observed = float(np.mean([s.observed**2 for s in found]))
    estimated = float(np.mean([s.deviation**2 for s in found]))
    assert observed > truth**2 + 0.0003, "rows add to the variance"
    # cutting negative estimates at 0 leaves a little of it where there is no spread
    assert truth**2 - 0.0002 < estimated < truth**2 + 0.0002
    if truth == 0:
        assert np.mean([s.deviation == 0 for s in found]) > 0.5


@pytest.mark.parametrize("truth", [0.0, 0.03, 0.06])
def test_the_interval_of_the_spread_contains_the_truth_in_about_95_of_100_cases(truth: float) -> None:
    found = simulated(truth, 9, 400)
    covered = np.mean([s.low <= truth <= s.high for s in found])
    assert covered >= 0.90


@pytest.mark.slow
@pytest.mark.parametrize(("truth", "wordings"), [(0.0, 3), (0.05, 6), (0.04, 15), (0.1, 9)])
def test_coverage_at_other_numbers_of_wordings(truth: float, wordings: int) -> None:
    found = simulated(truth, wordings, 2000)
    assert np.mean([s.low <= truth <= s.high for s in found]) >= 0.9


def test_the_spread_is_the_variance_component_of_a_two_way_table() -> None:
    values = np.random.default_rng(0).normal(size=(4, 50))
    means, n, v = values.mean(axis=1), 50, 4
    rest = sum((values[i, j] - means[i] - values[:, j].mean() + values.mean()) ** 2 for i in range(v) for j in range(n))
    between = n * sum((m - values.mean()) ** 2 for m in means) / (v - 1)
    expected = (between - rest / ((v - 1) * (n - 1))) / n
    assert spread(values).deviation == pytest.approx(math.sqrt(max(0.0, expected)))
    shifted = values + np.array([[0.0], [3.0], [6.0], [9.0]])
    assert spread(shifted).deviation == pytest.approx(np.std([0, 3, 6, 9], ddof=1), rel=0.1)


def test_wordings_that_change_nothing_have_no_spread_but_may_have_one_on_other_rows() -> None:
    same = np.tile(np.random.default_rng(0).integers(2, size=100), (5, 1)).astype(float)
    found = spread(same)
    assert (found.deviation, found.observed, found.low) == (0.0, 0.0, 0.0)
    assert 0 < found.high < 0.05


def scores(kind: PerturbationKind, name: str, stats: Any) -> VariantScores:
    return VariantScores(kind=kind, name=name, stats=np.asarray(stats, dtype=float).tolist())


def test_losses_are_differences_on_the_same_rows() -> None:
    own = np.array([[1.0]] * 80 + [[0.0]] * 20)
    worse, equal = own.copy(), own.copy()
    worse[:30] = 0
    longer = np.concatenate([own, np.zeros((50, 1))])
    found = robustness(Accuracy(), longer, [scores("typos", "a", worse), scores("typos", "b", equal)])
    assert found is not None
    (typos,) = found.kinds
    assert (found.rows, typos.variants, typos.worst_name, found.spread) == (100, 2, "a", None)
    assert (typos.mean, typos.worst) == (pytest.approx(0.15), pytest.approx(0.3))
    assert typos.worst_low < 0.3 < typos.worst_high
    assert typos.low < 0.15 < typos.high
    assert typos.worst_low == pytest.approx(0.3 - 1.96 * math.sqrt(0.3 * 0.7 / 100), abs=0.02)
    assert robustness(Accuracy(), own[:50], [scores("typos", "a", worse)]) is None, "it was scored on fewer rows"


def test_no_difference_on_few_rows_is_no_proof_of_none() -> None:
    low, high = loss_interval(np.zeros(100))
    assert high == pytest.approx(1 - 0.025**0.01)
    assert low == -high


def test_pseudo_values_of_a_mean_are_the_scores_and_those_of_f1_have_its_value_and_standard_error() -> None:
    rng, metric = np.random.default_rng(3), MacroF1()
    accuracy = rng.integers(2, size=(40, 1)).astype(float)
    assert row_values(Accuracy(), accuracy).tolist() == accuracy[:, 0].tolist()
    stats = f1_rows(rng, metric, 200)
    values = row_values(metric, stats)
    assert values.mean() == pytest.approx(metric.value(stats))
    drawn = [metric.value(stats[rng.integers(200, size=200)]) for _ in range(400)]
    assert values.std(ddof=1) / math.sqrt(200) == pytest.approx(np.std(drawn), rel=0.25)


def f1_rows(rng: np.random.Generator, metric: MacroF1, count: int) -> Any:
    from autoadapt.domain.metric import AnsweredRow

    labels = ("a", "b", "c")
    truth = rng.choice(labels, size=count)
    given = np.where(rng.uniform(size=count) < 0.7, truth, rng.choice(labels, size=count))
    rows = [AnsweredRow("", str(g), (str(t),), labels) for g, t in zip(given, truth, strict=True)]
    return np.array(metric.score(rows).stats)


def loss(kind: PerturbationKind, mean: float, high: float) -> KindLoss:
    ends = {"worst": mean, "worst_low": mean, "worst_high": high, "worst_name": "x"}
    return KindLoss(kind=kind, variants=2, mean=mean, low=mean, high=high, **ends)


def option(*kinds: KindLoss) -> Any:
    return SimpleNamespace(robustness=Robustness(rows=100, kinds=list(kinds)) if kinds else None)


def test_a_limit_is_judged_by_the_upper_end_of_the_kind_that_may_cost_most() -> None:
    robust = option(loss("typos", 0.01, 0.04), loss("instruction", 0.02, 0.03))
    assert greatest_loss(robust) == pytest.approx(4)
    assert robustness_violations(robust, 4.5) == []
    (clause,) = robustness_violations(robust, 3.5)
    assert clause == "typing errors may cost it more than 3.5 points (1.0 points [1.0, 4.0])"
    assert robustness_violations(option(), None) == []
    assert "unknown" in robustness_violations(option(), 50)[0]


def test_the_sentence_names_what_costs_most() -> None:
    found = Robustness(rows=100, kinds=[loss("typos", 0.01, 0.04), loss("case", -0.0, 0.0)])
    assert "typing errors 1.0 points [1.0, 4.0], other capitals and punctuation 0.0 points" in robustness_sentence(
        found
    )
