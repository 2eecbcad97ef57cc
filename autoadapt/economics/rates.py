"""Latency under load with the terms of ``vllm bench serve``: TTFT, TPOT, E2EL, goodput, and percentiles."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoadapt.domain.load import Load, LoadRun

GOOD = 0.99
"""Share of requests that must meet the latency target."""
PRECISION = 1.05
"""The service rate is found to within this factor."""
MOST_DOUBLINGS = 12
KEEPS_UP = 0.95
"""A server keeps up while it answers at this share of the rate at which requests are sent."""


def least_samples(percent: float) -> int:
    """The smallest n whose greatest sample bounds a percentile from above with 95 % certainty: ``1 - p^n >= 0.95``.

    29 for p90, 59 for p95, 299 for p99 (order statistics; e.g. Conover, Practical Nonparametric Statistics, 3.3).
    """
    return math.ceil(math.log(0.05) / math.log(percent / 100))


def percentile(samples: Sequence[float], percent: float) -> float | None:
    """Percentile by linear interpolation; None: too few samples to state it."""
    if not samples or (percent > 50 and len(samples) < least_samples(percent)):
        return None
    return float(np.percentile(np.array(samples), percent))


def upper_rank(count: int, percent: float) -> int:
    """Which of so many samples in rising order, from 1, is above a percentile in 95 % of cases.

    Whatever the distribution: the least k with ``P(Binomial(n, p) < k) >= 0.95`` (Conover, Practical Nonparametric
    Statistics, 3.3). Of fewer than `least_samples` the greatest, which is above it in ``1 - p^n`` of cases.
    """
    from scipy.stats import binom

    return min(int(binom.ppf(0.95, count, percent / 100)) + 1, count)


MOST_SUMMED = 500
"""Samples of each part whose sums with all of the other part are formed; of more, so many quantiles stand for them."""


def mixed_latency(
    first: Sequence[float], second: Sequence[float], kept: float, percent: float, aligned: bool = False
) -> float | None:
    """A percentile of the latency of a cascade: kept queries take the first part's time, the others both times.

    The smallest x with ``k P(A <= x) + (1 - k) P(A + B <= x) >= percent / 100``. Every sample of A is added to every
    one of B, as of independent times, unless they belong to the same inputs.

    Args:
        first, second: milliseconds of single requests.
        kept: k, from 0 to 1.
        percent: such as 95.
        aligned: both parts answered the same inputs in the same order; taken as independent where they are not as many.

    Returns:
        None: too few samples to state it (see `least_samples`).
    """
    few = min(len(first), len(second))
    if not few or (percent > 50 and few < least_samples(percent)):
        return None
    return mixture_quantile(first, second, kept, percent, aligned)


def mixture_quantile(
    first: Sequence[float], second: Sequence[float], kept: float, percent: float, aligned: bool = False
) -> float:
    """The same as `mixed_latency`, however few samples there are; at least one of each part."""
    times, weights = _mixture(first, second, kept, aligned)
    order = np.argsort(times, kind="stable")
    reached = np.searchsorted(np.cumsum(weights[order]), percent / 100 - 1e-12)
    return float(times[order][min(int(reached), len(times) - 1)])


def mixture_share(first: Sequence[float], second: Sequence[float], kept: float, most_ms: float) -> float:
    """Share of a cascade's queries that take at most so many milliseconds, see `mixed_latency`."""
    times, weights = _mixture(first, second, kept, aligned=False)
    return float(weights[times <= most_ms].sum())


def _mixture(
    first: Sequence[float], second: Sequence[float], kept: float, aligned: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Times of a cascade's queries and their weights, each of shape (n,)."""
    a, b = np.array(first, dtype=float), np.array(second, dtype=float)
    both = a + b if aligned and len(a) == len(b) else np.add.outer(_thinned(a), _thinned(b)).ravel()
    weights = np.concatenate([np.full(len(a), kept / len(a)), np.full(len(both), (1 - kept) / len(both))])
    return np.concatenate([a, both]), weights


def _thinned(samples: NDArray[Any]) -> NDArray[Any]:
    if len(samples) <= MOST_SUMMED:
        return samples
    return np.asarray(np.quantile(samples, (np.arange(MOST_SUMMED) + 0.5) / MOST_SUMMED))


def typical_ms(samples: Sequence[float]) -> float:
    """The latency that is optimised: p95, or the median of fewer than 59 samples."""
    p95 = percentile(samples, 95)
    return p95 if p95 is not None else float(np.median(np.array(samples)))


MOST_REQUESTS = 5000
"""Sent at one rate."""


@dataclass(frozen=True)
class Percentiles:
    """Percentiles of one quantity in milliseconds; None: too few samples (see `least_samples`)."""

    n: int
    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None


def percentiles(samples: Sequence[float]) -> Percentiles:
    """Mean and the usual percentiles."""
    p50, p90, p95, p99 = (percentile(samples, p) for p in (50, 90, 95, 99))
    return Percentiles(len(samples), float(np.mean(samples)) if samples else None, p50, p90, p95, p99)


def tpot_ms(run: LoadRun) -> list[float]:
    """Milliseconds per token after the first: ``(E2EL - TTFT) / (n_out - 1)``, of answers of at least two tokens."""
    if not run.ttft_ms or not run.tokens_out:
        return []
    requests = zip(run.ttft_ms, run.e2el_ms, run.tokens_out, strict=True)
    return [(whole - first) / (n - 1) for first, whole, n in requests if n > 1]


def decode_share(latency_ms: Sequence[float], tokens_out: Sequence[int]) -> float:
    """Share of a request's time that grows with the length of its answer, by least squares over single requests.

    Args:
        latency_ms: one per request.
        tokens_out: tokens written for each; where all are equal, the share cannot be estimated and is taken to be 1.
    """
    n = min(len(latency_ms), len(tokens_out))
    times, tokens = np.array(latency_ms[:n]), np.array(tokens_out[:n], dtype=float)
    if n == 0:
        return 0.0
    if tokens.std() == 0:
        return 1.0
    slope = float(np.cov(tokens, times, bias=True)[0, 1] / tokens.var())
    return float(np.clip(slope * tokens.mean() / times.mean(), 0.0, 1.0))


def good_share(run: LoadRun, latency_p95_ms: float) -> float:
    """Share of the requests sent whose E2EL meets the latency target; those without an answer do not."""
    return sum(ms <= latency_p95_ms for ms in run.e2el_ms) / run.sent if run.sent else 0.0


def goodput(run: LoadRun, latency_p95_ms: float) -> float:
    """Requests per second that meet the latency target."""
    return good_share(run, latency_p95_ms) * run.sent * run.stands_for / run.seconds if run.seconds > 0 else 0.0


def keeps_up(run: LoadRun) -> bool:
    """Whether no queue grew: the last answer came soon after the last request, and no request failed."""
    return not run.failed and run.seconds <= run.sent_seconds / KEEPS_UP + 2 * min(run.e2el_ms) / 1000


def fits(run: LoadRun, latency_p95_ms: float | None) -> bool:
    """Whether a rate is sustainable and at least 99 % of requests meet the latency target, if there is one.

    A short burst may end before its queue makes requests late, so the queue must not grow either.
    """
    return keeps_up(run) and (latency_p95_ms is None or good_share(run, latency_p95_ms) >= GOOD)


def service_rate(load: Load, latency_p95_ms: float | None) -> float | None:
    """lambda_slo: the greatest measured rate up to which no queue grows and 99 % of requests meet the target.

    Args:
        load: runs at several rates.
        latency_p95_ms: latency target for E2EL; None: no target.

    Returns:
        Requests per second; None: not even the lowest rate measured.
    """
    best = None
    for run in sorted(load.runs, key=lambda r: r.rate):
        if not fits(run, latency_p95_ms):
            break
        best = run.rate
    return best


def arrivals(rate: float, count: int, seed: int) -> list[float]:
    """Seconds at which `count` requests come: a Poisson process, given that all come within ``count / rate`` seconds.

    Exponential gaps scaled to that span (Ross, Introduction to Probability Models, ch. 5), so that the mean
    rate is exact; the same seed gives the same gaps at every rate up to their scale, so that only rates differ.
    """
    gaps = np.random.default_rng(seed).exponential(1.0, count)
    return [float(t) for t in np.cumsum(gaps) * (count / rate / gaps.sum())]


def requests_for(rate: float, least: int, latency_p95_ms: float | None) -> int:
    """Requests to send at a rate: at least `least`, and enough for a growing queue to become visible.

    They last a second, and three times as long as the latency target: in a shorter burst no queue would exceed it.
    """
    seconds = max(1.0, 3 * (latency_p95_ms or 0.0) / 1000)
    return max(least, min(MOST_REQUESTS, math.ceil(rate * seconds)))


def run_at(load: Load, rate: float) -> LoadRun:
    """The run that represents a rate: the lowest measured rate that is not below it, else the highest."""
    runs = sorted(load.runs, key=lambda r: r.rate)
    return next((r for r in runs if r.rate >= rate), runs[-1])


def sweep(
    measure: Callable[[float], LoadRun],
    start: float,
    latency_p95_ms: float | None,
    go_on: Callable[[], bool] = lambda: True,
) -> list[LoadRun]:
    """Runs at rising rates until one does not fit, then by bisection to within 5 % of the greatest rate that fits.

    Rates double from `start`; where the first one does not fit they halve instead.

    Args:
        measure: sends requests at a rate.
        start: first rate in requests per second.
        latency_p95_ms: latency target for E2EL.
        go_on: called before every further rate; False ends the sweep with the runs measured so far.
    """
    runs = [measure(start)]
    rising = fits(runs[0], latency_p95_ms)
    for _ in range(MOST_DOUBLINGS):
        if not go_on():
            return runs
        runs.append(measure(runs[-1].rate * (2 if rising else 0.5)))
        if fits(runs[-1], latency_p95_ms) != rising:
            break
    else:
        return runs
    low, high = sorted((runs[-1].rate, runs[-2].rate))
    while high / low > PRECISION and go_on():
        runs.append(measure(math.sqrt(low * high)))
        if fits(runs[-1], latency_p95_ms):
            low = runs[-1].rate
        else:
            high = runs[-1].rate
    return runs
