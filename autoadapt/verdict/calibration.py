"""Calibrated confidences: one temperature per option from validation rows, and the calibration error that is left."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HOTTEST, COLDEST = 10.0, 0.1
"""Range of temperatures. Where every answer is right, or confidence says nothing, the likelihood has its maximum at an
end of the range or beyond."""
LEAST_PROBABILITY = 1e-12
MOST_BINS, ROWS_PER_BIN = 15, 20
DRAWS = 500


@dataclass(frozen=True)
class SureRows:
    """How sure an option was of its answers to the rows of a split, and how good these were."""

    confidence: NDArray[Any]
    """Of each answer, from 0 to 1, not calibrated; shape (rows,)."""
    score: NDArray[Any]
    """The metric's score of each answer, from 0 to 1; shape (rows,)."""
    log_probs: NDArray[Any] | None = None
    """Labels: the logarithm of the probability of each; shape (rows, labels). None: not known."""
    truth: NDArray[Any] | None = None
    answer: NDArray[Any] | None = None
    """Numbers of the right label and of the one answered; shape (rows,). Needed where `log_probs` are given."""


def temperature(rows: SureRows) -> float:
    """The temperature T that makes the answers of these rows most likely (Guo et al. 2017, On Calibration of Modern
    Neural Networks).

    Where the probabilities of all labels are known they become ``softmax(log_probs / T)``, and the mean negative
    logarithm of the right label's probability is minimised. Where only the confidence of the answer is known its
    log-odds are divided by T, and its cross-entropy with the score is minimised.

    Args:
        rows: of the validation split, at least one.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log_t: _loss(rows, float(np.exp(log_t))),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def calibrated(rows: SureRows, t: float) -> NDArray[Any]:
    """Confidences at a temperature, shape (rows,).

    With the probabilities of all labels: that of the label answered. Otherwise the logistic function of the log-odds
    divided by the temperature.
    """
    if rows.log_probs is not None and rows.answer is not None:
        return np.asarray(np.exp(_scaled(rows.log_probs, t)[np.arange(len(rows.answer)), rows.answer]))
    return np.asarray(1 / (1 + np.exp(-_log_odds(rows.confidence) / t)))


def calibration_error(confidence: NDArray[Any], score: NDArray[Any]) -> float:
    """Expected calibration error: the mean over rows of ``|mean score - mean confidence|`` of their bin.

    Bins hold equally many rows by rising confidence (Nguyen and O'Connor 2015), at most 15 and at least 20 rows each.
    It is biased upwards with few rows: see `error_by_chance`.

    Args:
        confidence: from 0 to 1, shape (rows,).
        score: from 0 to 1, shape (rows,).
    """
    order = np.argsort(confidence, kind="stable")
    gaps = (np.asarray(score, dtype=float) - confidence)[order]
    return float(sum(abs(part.sum()) for part in _binned(gaps)) / len(gaps))


def error_by_chance(confidence: NDArray[Any], seed: int = 0) -> float:
    """The mean calibration error that perfectly calibrated confidences show on so many rows by chance alone.

    Each answer is drawn to be right with its confidence as the probability (consistency resampling, Broecker and Smith
    2007). An error near this number is no evidence of miscalibration. Graded scores vary less than these draws, so that
    it is an upper bound for them.
    """
    ordered = np.sort(np.asarray(confidence, dtype=float))
    drawn = np.random.default_rng(seed).random((DRAWS, len(ordered))) < ordered
    gaps = drawn - ordered
    return float(sum(np.abs(part.sum(1)) for part in _binned(gaps)).mean() / len(ordered))


def _binned(gaps: NDArray[Any]) -> list[NDArray[Any]]:
    rows = gaps.shape[-1]
    return np.array_split(gaps, min(MOST_BINS, max(1, rows // ROWS_PER_BIN)), axis=-1)


def _loss(rows: SureRows, t: float) -> float:
    if rows.log_probs is not None and rows.truth is not None:
        return -float(_scaled(rows.log_probs, t)[np.arange(len(rows.truth)), rows.truth].mean())
    odds = _log_odds(rows.confidence) / t
    # cross-entropy of a logistic function: -s log p - (1 - s) log(1 - p) = log(1 + exp(odds)) - s odds
    return float((np.logaddexp(0, odds) - rows.score * odds).mean())


def _scaled(log_probs: NDArray[Any], t: float) -> NDArray[Any]:
    divided = np.maximum(log_probs, np.log(LEAST_PROBABILITY)) / t
    return np.asarray(divided - np.logaddexp.reduce(divided, axis=1, keepdims=True))


def _log_odds(confidence: NDArray[Any]) -> NDArray[Any]:
    p = np.clip(confidence, LEAST_PROBABILITY, 1 - 1e-9)
    return np.asarray(np.log(p) - np.log1p(-p))
