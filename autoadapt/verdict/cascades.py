"""Cascades: one option answers where it is sure, another one the rest: threshold and answers, from numbers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoadapt.domain.metric import Metric

TOLERATED_LOSS = 0.01
"""Quality that a cascade may lose against its second part."""
RISK = 0.1
"""Greatest probability that the chosen threshold loses more than that."""
SHARES = tuple(i / 20 for i in range(1, 20))
"""Shares of rows kept by the first part that are tried, in this order."""
RESAMPLES = 200
FOLDS = 5


@dataclass(frozen=True)
class Threshold:
    """A threshold chosen on validation rows."""

    threshold: float
    """Calibrated confidence from which the first part's answer is taken."""
    kept: float
    """Share of the validation rows that the first part answers."""
    difference: float
    """Quality of the cascade minus that of its second part, on validation rows."""


def choose_threshold(
    metric: Metric,
    confidence: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    tolerated: float = TOLERATED_LOSS,
    seed: int = 0,
) -> Threshold | None:
    """The threshold at which the first part keeps most rows without a loss, as far as validation rows can assure that.

    For each share, from the smallest, the hypothesis that the cascade loses more than `tolerated` against its second
    part is tested at level `RISK`; the last share before the first one that is not rejected is taken. Tests in a fixed
    order need no correction for their number: a wrong one would have to be the first that is true, so that the
    probability that any is wrong is at most `RISK` (fixed-sequence testing as in Learn then Test, Angelopoulos et al.
    2021). The order is known beforehand, because a cascade that keeps nothing is its second part.

    Args:
        metric: of the task.
        confidence: calibrated, of the first part on each row, shape (rows,).
        first, second: statistics of both parts on the same rows, shape (rows, statistics).
        tolerated: greatest loss.
        seed: of resamples.

    Returns:
        None: not even the smallest share can be assured.
    """
    resampled = _Resampled(metric, second, seed)
    chosen = None
    for threshold in _thresholds(confidence):
        kept = confidence >= threshold
        together = cascaded(kept, first, second)
        difference, deviation = resampled.difference(together)
        if _p_of_loss(difference, deviation, len(second), tolerated) > RISK:
            break
        chosen = Threshold(float(threshold), float(kept.mean()), difference)
    return chosen


def least_rows() -> int:
    """Validation rows below which no threshold can be assured, even if both parts answered every row alike."""
    return math.ceil(math.log(1 / RISK) / TOLERATED_LOSS)


def cross_fitted(
    metric: Metric, confidence: NDArray[Any], first: NDArray[Any], second: NDArray[Any], seed: int = 0
) -> NDArray[Any]:
    """Whether the first part answers each row, by a threshold that was chosen on other rows, shape (rows,).

    A cascade looks too good on the rows on which its threshold was chosen, so its quality on validation rows is that of
    these answers: each fifth of the rows by a threshold chosen on the other four. Where none is assured there, the
    second part answers.

    Args:
        metric, confidence, first, second, seed: as of `choose_threshold`.
    """
    fold = np.arange(len(confidence)) % FOLDS
    kept = np.zeros(len(confidence), dtype=bool)
    for i in range(FOLDS):
        others = fold != i
        chosen = choose_threshold(metric, confidence[others], first[others], second[others], seed=seed)
        if chosen is not None:
            kept[~others] = confidence[~others] >= chosen.threshold
    return kept


def cascaded(kept: NDArray[Any], first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Statistics of the cascade, shape (rows, statistics).

    Args:
        kept: whether the first part answers a row, shape (rows,).
        first, second: statistics of both parts on the same rows.
    """
    return np.where(kept[:, None], first, second)


def _thresholds(confidence: NDArray[Any]) -> Iterator[float]:
    """Falling confidences that keep about the shares tried; equal ones once, none that keeps every row."""
    falling = np.sort(confidence)[::-1]
    before = np.inf
    for share in SHARES:
        threshold = falling[max(0, round(share * len(falling)) - 1)]
        if threshold < before and threshold > falling[-1]:
            before = threshold
            yield float(threshold)


def _p_of_loss(difference: float, deviation: float, rows: int, tolerated: float) -> float:
    """p of the hypothesis that the loss is `tolerated`, against a smaller one.

    Rows lost less rows won are taken as the difference of two Poisson counts (Skellam 1946), whose means are set by the
    tolerated loss and the variance measured. If the loss were `tolerated`, at least that share of rows would differ,
    which bounds the variance from below: where no row differs, p is ``exp(-rows tolerated)``, which is nearly the exact
    ``(1 - tolerated) ** rows``; a normal approximation would be half of it.

    Args:
        difference: quality of the cascade minus that of its second part.
        deviation: standard error of it.
        rows: n.
        tolerated: greatest loss.
    """
    from scipy.stats import skellam

    variance = max(rows * deviation**2 + difference**2, tolerated)
    lost, won = rows * (variance + tolerated) / 2, rows * (variance - tolerated) / 2
    return float(skellam.cdf(math.ceil(-rows * difference - 1e-9), lost, max(won, 1e-9)))


class _Resampled:
    """The second part's quality, and its resamples where a standard error needs them."""

    def __init__(self, metric: Metric, second: NDArray[Any], seed: int) -> None:
        self._metric, self._second = metric, second
        self._value = metric.value(second)
        self._mean = type(metric).value is Metric.value
        rows = len(second)
        self._drawn = None if self._mean else np.random.default_rng(seed).integers(rows, size=(RESAMPLES, rows))
        self._values = [] if self._drawn is None else [metric.value(second[i]) for i in self._drawn]

    def difference(self, together: NDArray[Any]) -> tuple[float, float]:
        """Quality of a cascade minus that of its second part, and the standard error (a bootstrap unless the metric is
        the mean of the rows' scores)."""
        difference = self._metric.value(together) - self._value
        if self._drawn is None:
            each = together[:, 0] - self._second[:, 0]
            return difference, float(each.std() / np.sqrt(len(each)))
        values = [self._metric.value(together[i]) for i in self._drawn]
        return difference, float(np.std(np.array(values) - np.array(self._values), ddof=1))
