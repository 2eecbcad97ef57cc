"""Serving classes: options whose answers are computed alike cost and take the same, whatever was trained.

Two options of one model, answered in the same way, differ in device time only by the tokens they read and write.
Measured apart they seem to differ by up to a half, because a machine is never quite at rest, and a frontier of such
differences is noise. So device time and latency are modelled per class from all measurements of a study:

    time of an answer = b0 + b1 * fresh tokens + b2 * shared prefix + b3 * tokens written,    every b >= 0

fitted by robust least squares of logarithms (a slow minute inflates a measurement, it never deflates one by as much).
Within a class the distribution of single requests around their median is one, too, and is pooled. But the options of a
study are asked the same inputs, so that many requests may show few inputs: how far a percentile can be trusted follows
from the number of inputs.
"""

import functools
import itertools
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoadapt.economics.rates import least_samples, upper_rank

NOISE, NOISE_WEIGHT = 0.1, 3.0
"""Deviation of one measurement (of its logarithm) expected beforehand, and the measurements that this is worth: on two
cores, the medians of 63 single requests of options of one class deviated by 6 to 15 % from their class."""
LEAST_NOISE = 0.01
SOFT = 0.1
"""Residuals (of logarithms) beyond which a measurement counts for less."""
NEGLIGIBLE = 1e-3
"""Share of the time below which a part of it has no error of its own."""


@dataclass(frozen=True)
class Sample:
    """What one option shows of its class.

    Args:
        fresh: tokens read per answer, the shared prefix apart.
        shared: tokens of the prefix that all prompts share, whose computation is kept.
        written: tokens written per answer.
        row_seconds: device-seconds per answer of the batched evaluation; 0: it used no device.
        single_ms: milliseconds of single requests, one after the other; may be empty.
        inputs: what each of them asked; empty: the k-th one asked what the k-th one of every other such option did.
    """

    fresh: float
    shared: float
    written: float
    row_seconds: float
    single_ms: Sequence[float]
    inputs: Sequence[Hashable] = ()


@dataclass(frozen=True)
class Served:
    """An option's values by the model of its class.

    Args:
        row_seconds: device-seconds per answer of the batched evaluation.
        median_ms: of single requests; None: none of the class was timed.
        row_error: standard error of `row_seconds` as a share of it.
        median_error: that of `median_ms`.
    """

    row_seconds: float
    median_ms: float | None
    row_error: float
    median_error: float


SURE_ABOVE = 1.645
"""Standard errors above an estimate that are exceeded in 5 % of cases."""


class ServingClass:
    """The model of one class.

    Args:
        samples: its options as they were measured, at least one.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        timed = [sample for sample in samples if len(sample.single_ms)]
        asked = [list(s.inputs or range(len(s.single_ms))) for s in timed]
        medians = _medians([np.array(s.single_ms, dtype=float) for s in timed], asked)
        self._rows = _TimeModel(samples, [sample.row_seconds for sample in samples])
        self._singles = _TimeModel(timed, medians) if timed else None
        parts = [np.array(s.single_ms, dtype=float) / median for s, median in zip(timed, medians, strict=True)]
        spread = np.concatenate(parts) if parts else np.empty(0)
        order = np.argsort(spread, kind="stable")
        self.spread: NDArray[Any] = spread[order]
        """Single requests of the whole class, each over the median of its option, in rising order."""
        of_all = list(itertools.chain(*asked))
        numbers = {each: number for number, each in enumerate(dict.fromkeys(of_all))}
        self._inputs = np.array([numbers[each] for each in of_all], dtype=int)[order]
        """Number of the input of each of them."""

    def served(self, sample: Sample) -> Served:
        """The values of an option that reads and writes as many tokens as a sample."""
        row_seconds, row_error = self._rows.time(sample)
        median_ms, median_error = self._singles.time(sample) if self._singles is not None else (None, 0.0)
        return Served(row_seconds, median_ms, row_error, median_error)

    def p95_high(self, served: Served, p95_ms: float) -> float:
        """95 % upper bound of the p95 of an option's single requests over that p95, at least 1.

        The bound of the quantile of the class's spread, and the error of the option's median, which are independent.
        Of fewer than 59 inputs the slowest one stands for the bound, which then holds in fewer cases.

        Args:
            served: the option, see `served`.
            p95_ms: as it is stated of the option.
        """
        if served.median_ms is None:
            return 1.0
        ratio = max(1.0, served.median_ms * self._p95_high / p95_ms)
        return math.exp(math.hypot(math.log(ratio), SURE_ABOVE * served.median_error))

    @functools.cached_property
    def _p95_high(self) -> float:
        """95 % upper bound of the p95 of the spread, from the ranks of inputs; the same for all options of the class.

        Inputs are what is drawn independently, so each counts as one sample, whose requests share its weight. With one
        request for each it is the order statistic of `upper_rank`; of several requests for the input at that rank it is
        about their median, because half the weight of that input is to be reached.
        """
        counts = np.bincount(self._inputs)
        reached = np.cumsum(1 / counts[self._inputs])
        at = int(np.searchsorted(reached, upper_rank(len(counts), 95) - 0.5))
        return float(self.spread[at])

    def single_requests(self, median_ms: float, own_ms: Sequence[float], trial: int) -> list[float]:
        """Single requests of an option: quantiles of the class's spread around the option's median.

        They stand at equal distances from 0 to 100 %, so that percentiles that are interpolated between them are those
        of the spread; an option that is alone in its class keeps its own.
        As many as the option has; of one with too few for a p95, as many as a p95 needs, where the class has them.
        Where they are as many, the option's slowest request stays its slowest, so that requests of two options with
        the same inputs can be added up.

        Args:
            median_ms: of the option, see `served`.
            own_ms: as they were timed.
            trial: number of the option, by which the order of further requests is drawn.
        """
        enough = least_samples(95)
        count = len(own_ms) if len(own_ms) >= enough or len(self.spread) < enough else enough
        levels = np.linspace(0, 1, count) if count > 1 else np.full(count, 0.5)
        quantiles = median_ms * np.quantile(self.spread, levels)
        if count == len(own_ms):
            ranks = np.argsort(np.argsort(np.array(own_ms), kind="stable"), kind="stable")
        else:
            ranks = np.random.default_rng(trial).permutation(count)
        return [float(ms) for ms in quantiles[ranks]]


def _medians(times: Sequence[NDArray[Any]], asked: Sequence[Sequence[Hashable]]) -> list[float]:
    """Median of the single requests of each option, as if all had been asked what those with most inputs were.

    An option that was soon seen to be dominated was asked the first inputs alone, and so were all others like it: where
    these happen to be short, all of them would seem to be fast. So its requests are divided by what options that were
    asked more inputs took for the same ones, over their median, where these are known of all its inputs.

    Args:
        times: of each option, milliseconds.
        asked: the input of each of its requests.
    """
    counts, medians = [len(set(inputs)) for inputs in asked], [0.0] * len(times)
    seen: dict[Hashable, list[float]] = {}
    for count in sorted(set(counts), reverse=True):
        typical = {each: float(np.median(ratios)) for each, ratios in seen.items()}
        options = [k for k, other in enumerate(counts) if other == count]
        for k in options:
            known = all(each in typical for each in asked[k])
            expected = np.array([typical[each] for each in asked[k]]) if known else 1.0
            medians[k] = float(np.median(times[k] / expected))
        for k in options:
            for each, ratio in zip(asked[k], (times[k] / medians[k]).tolist(), strict=True):
                seen.setdefault(each, []).append(ratio)
    return medians


class _TimeModel:
    """Times of one class by tokens: ``b0 + b1 * fresh + b2 * shared + b3 * written``, every b at least 0.

    Args:
        samples: at least one.
        times: of each; where one is 0, none is modelled: the answers used no device.
    """

    def __init__(self, samples: Sequence[Sample], times: Sequence[float]) -> None:
        features = np.array([_features(sample) for sample in samples])
        self._count, self._zero = len(samples), not all(times)
        self._scale = np.maximum(features.max(0), 1e-12)
        if self._zero:
            return
        logs = np.log(np.array(times, dtype=float))
        self._weights = self._fitted(features / self._scale, logs)
        gradient, modelled = self._gradient(features)
        self._active = gradient.max(0) > NEGLIGIBLE
        active = gradient[:, self._active]
        self._noise = _noise(np.log(modelled) - logs, int(np.linalg.matrix_rank(active, tol=1e-2)))
        self._covariance = np.linalg.pinv(active.T @ active, rcond=1e-4, hermitian=True)

    def time(self, sample: Sample) -> tuple[float, float]:
        """The time of a sample, and its standard error as a share of it."""
        if self._zero:
            return 0.0, 0.0
        gradient, modelled = self._gradient(np.array([_features(sample)]))
        active = gradient[0, self._active]
        leverage = float(active @ self._covariance @ active)
        return float(modelled[0]), self._noise * math.sqrt(min(1.0, max(1 / self._count, leverage)))

    def _fitted(self, features: NDArray[Any], logs: NDArray[Any]) -> NDArray[Any]:
        """Weights of the scaled features, shape (4,)."""
        if len(logs) == 1 or np.ptp(features, axis=0).max() == 0:
            # tokens tell nothing: a constant, robust as the fit below would be
            return np.array([math.exp(float(np.median(logs))), 0.0, 0.0, 0.0])
        # starting a driver should not wait for scipy
        from scipy.optimize import least_squares

        def residuals(weights: NDArray[Any]) -> NDArray[Any]:
            return np.asarray(np.log(features @ weights + 1e-300) - logs)

        start = np.full(4, math.exp(float(np.median(logs))) / 4)
        fit = least_squares(residuals, start, bounds=(0, np.inf), x_scale=start, loss="soft_l1", f_scale=SOFT)
        return np.asarray(fit.x)

    def _gradient(self, features: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Of the logarithm of the time by that of each weight, shape (n, 4), and the time, shape (n,)."""
        parts = features / self._scale * self._weights
        modelled = parts.sum(axis=1)
        return parts / modelled[:, None], modelled


def _features(sample: Sample) -> tuple[float, float, float, float]:
    return 1.0, sample.fresh, sample.shared, sample.written


def _noise(residuals: NDArray[Any], parameters: int) -> float:
    """Deviation of one measurement, with what is expected beforehand counted as further measurements."""
    bounded = np.clip(residuals, -3 * SOFT, 3 * SOFT)
    free = max(0, len(residuals) - parameters)
    squares = float((bounded**2).sum()) if free else 0.0
    return max(LEAST_NOISE, math.sqrt((NOISE_WEIGHT * NOISE**2 + squares) / (NOISE_WEIGHT + free)))
