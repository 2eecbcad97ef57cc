"""Waiting: what a replica can take between the rates that were measured, and waits for a cold start."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autoadapt.domain.load import Load, LoadRun
from autoadapt.economics.batching import has_full_batches, stretched
from autoadapt.economics.costs import ScaleToZero
from autoadapt.economics.rates import GOOD, KEEPS_UP, PRECISION, fits, least_samples, percentile, run_at, service_rate

MOST_APART = 2.0
"""A sweep doubles its rates: neighbouring rates farther apart than this leave room for one that was not measured."""
MARGIN = 1.05
"""By which a stated rate is at least less than the greatest one of the simulated queue, unless a simulated rate is
nearer: chance in the simulation."""
SURE_ABOVE_ERROR = 1.28
"""Standard errors that are exceeded to one side in 10 % of cases."""
SIMULATED = 20_000
"""Requests of a simulated queue."""
HALVINGS = 14
"""Bisections of a rate."""
QUANTILES = 1000
"""Points that stand for a distribution of latencies."""
WAITS = 50
"""Moments of a cold start at which requests come."""


@dataclass(frozen=True)
class Capacity:
    """The greatest rate at which one replica meets a latency target (without one: keeps up).

    Args:
        rate: requests per second; None: it meets the target at no rate.
        measured: whether that was measured under load; else it is a bound between two measured rates, or the times of
            full batches are estimates.
    """

    rate: float | None
    measured: bool


def capacity(load: Load, latency_p95_ms: float | None) -> Capacity:
    """What a replica can take by its load test.

    The search's own load test begins with the task's rate, which may be a request an hour, and goes on near the
    greatest rate that meets the target of the task, if there is time for that. Where nothing was measured between a
    rate that meets the target and one that does not, or no rate that does not, the replica is taken
    to answer one request at a time, each in the time of a request at the lowest measured rate. Answering several in one
    batch is no slower, so that this is a lower bound. Between two simulated rates latencies are interpolated.

    Args:
        load: at least one run.
        latency_p95_ms: latency target for E2EL, met by 99 % of requests; None: no target.
    """
    runs = sorted(load.runs, key=lambda run: run.rate)
    best = service_rate(load, latency_p95_ms)
    above = next((run.rate for run in runs if run.rate > (best or 0.0) and not fits(run, latency_p95_ms)), None)
    measured = has_full_batches(load)
    if above is not None and best is not None and latency_p95_ms is not None and load.clock == "simulated":
        best = _between(run_at(load, best), run_at(load, above), latency_p95_ms, margin(load))
    if above is not None and best is not None and above <= MOST_APART * best:
        return Capacity(best, measured)
    alone = single_server_rate(runs[0].e2el_ms, latency_p95_ms)
    if load.clock == "simulated":  # beyond its greatest rate nothing is known of a queue
        alone = min(alone, runs[-1].rate)
    if above is not None and alone >= above:  # there the target was missed, so that the rate is clearly below
        alone = above / MOST_APART
    rate = max(best or 0.0, alone)
    return Capacity(rate or None, measured and rate == best)


def margin(load: Load) -> float:
    """By which a stated rate is less than the greatest one of its simulated queue: a factor of at least `MARGIN`.

    The greatest rate is as wrong as the mean time of the largest batches, whose standard error is their deviation over
    the root of their number.
    """
    largest = max((batch.rows for batch in load.batches), default=0)
    seconds = np.array([batch.seconds for batch in load.batches if batch.rows == largest])
    if len(seconds) < 2:
        return MARGIN
    error = float(seconds.std(ddof=1) / seconds.mean()) / math.sqrt(len(seconds))
    return max(MARGIN, 1 + SURE_ABOVE_ERROR * error)


def _between(below: LoadRun, above: LoadRun, latency_p95_ms: float, less: float) -> float:
    """A rate between two simulated ones at which 99 % of the requests meet a target.

    The last of them would just meet it at a rate that is greater by a margin: times of batches have an error, and at
    that rate half of all replicas would miss the target.

    Args:
        below: meets the target.
        above: does not.
        latency_p95_ms: for 99 % of the requests.
        less: margin, a factor of at least 1.
    """
    last = math.ceil(GOOD * len(below.e2el_ms) - 1e-9) - 1
    fast, slow = below.e2el_ms[last], above.e2el_ms[last]
    if slow <= latency_p95_ms:  # its queue grows
        return below.rate
    share = (latency_p95_ms - fast) / (slow - fast)
    return max(below.rate, float(below.rate * (above.rate / below.rate) ** share) / less)


def single_server_rate(service_ms: Sequence[float], latency_p95_ms: float | None) -> float:
    """The greatest rate at which 99 % of the requests to one server meet a target; 0: it meets it at no rate.

    Args:
        service_ms: times of single requests, from which those of a simulated queue are drawn.
        latency_p95_ms: for waiting and answering; None: the rate at which the server is as busy as may be.
    """
    return _single_server_rate(tuple(service_ms), latency_p95_ms) if service_ms else 0.0


@functools.lru_cache(maxsize=256)
def _single_server_rate(service_ms: tuple[float, ...], latency_p95_ms: float | None) -> float:
    mean = float(np.mean(service_ms)) / 1000
    low, high = 0.0, KEEPS_UP / mean
    if latency_p95_ms is None:
        return high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        good = (single_server_ms(service_ms, middle) <= latency_p95_ms).mean() >= GOOD
        low, high = (middle, high) if good else (low, middle)
    # without any waiting the target may be missed as well
    return low if (np.array(service_ms) <= latency_p95_ms).mean() >= GOOD else 0.0


def single_server_ms(service_ms: Sequence[float], rate: float) -> Any:
    """Milliseconds of waiting and answering at one server with Poisson arrivals, shape (requests,).

    Lindley's recursion: a request waits for what was waiting before it, less the time until it came (Lindley 1952).

    Args:
        service_ms: times of single requests; each simulated one is drawn from them.
        rate: requests per second.
    """
    random = np.random.default_rng(0)
    service = random.choice(np.array(service_ms, dtype=float), SIMULATED) / 1000
    gaps = random.exponential(1.0, SIMULATED) / max(rate, 1e-12)
    steps = np.concatenate([[0.0], np.cumsum(service[:-1] - gaps[1:])])
    waits = steps - np.minimum.accumulate(steps)
    return (waits + service) * 1000


def latencies_at(load: Load, rate: float) -> Sequence[float]:
    """Milliseconds of requests at a rate: measured at the lowest measured rate that is not below it.

    Between two simulated rates, each of their quantiles interpolated by the logarithm of the rate. Where requests were
    really sent at that rate and at a lower one, those of a single server at the rate itself, see `capacity`.

    Args:
        load: at least one run.
        rate: requests per second that reach a replica.
    """
    runs = sorted(load.runs, key=lambda run: run.rate)
    if load.clock == "simulated":
        return _interpolated(runs, rate)
    run, lowest = run_at(load, rate), runs[0]
    between = lowest.rate < rate and run.rate > PRECISION * rate and len(lowest.e2el_ms) >= least_samples(95)
    if not between or rate * float(np.mean(lowest.e2el_ms)) / 1000 >= KEEPS_UP:
        return run.e2el_ms
    simulated = single_server_ms(lowest.e2el_ms, rate)
    return simulated.tolist() if np.quantile(simulated, 0.95) < (percentile(run.e2el_ms, 95) or np.inf) else run.e2el_ms


def at_pace(load: Load, ratio: float) -> Load:
    """A load test as it would have been while the machine let answers take `ratio` times as long.

    Args:
        load: as it was measured.
        ratio: above 0.
    """
    batches = [batch.model_copy(update={"seconds": batch.seconds * ratio}) for batch in load.batches]
    return load.model_copy(update={"batches": batches, "runs": [stretched(run, ratio) for run in load.runs]})


def _interpolated(runs: Sequence[LoadRun], rate: float) -> Sequence[float]:
    """Milliseconds of requests at a rate between simulated ones; beyond these, at the nearest one."""
    i = next((i for i, run in enumerate(runs) if run.rate >= rate), len(runs) - 1)
    if i == 0 or runs[i].rate <= rate:
        return runs[i].e2el_ms
    below, above = runs[i - 1], runs[i]
    share = math.log(rate / below.rate) / math.log(above.rate / below.rate)
    interpolated = (1 - share) * np.array(below.e2el_ms) + share * np.array(above.e2el_ms)
    return [float(ms) for ms in interpolated]


def scaled(load: Load, ratio: float, of_trial: int) -> Load:
    """A load test as that of an option of the same serving class whose answers take `ratio` times as long.

    Args:
        load: of the option that was measured.
        ratio: above 0.
        of_trial: number of that option.
    """
    update = {"of_trial": of_trial, "ratio": ratio, "samples": load.single_requests}
    return load.model_copy(update={**update, "runs": [stretched(run, ratio) for run in load.runs]})


def answered_share(load: Load, rate: float) -> float:
    """Share of the requests that were answered at all, at the measured rate that `latencies_at` takes."""
    run = run_at(load, rate)
    return len(run.e2el_ms) / run.sent if run.sent else 0.0


def most_within(on: ScaleToZero, target_ms: float) -> float | None:
    """The greatest share of requests that can be within a target; None: no cold start takes longer than that."""
    cold_ms = 1000 * float(on.cold_seconds)
    if cold_ms <= target_ms:
        return None
    return 1 - float(on.switching_share) - float(on.during_share) * (1 - target_ms / cold_ms)


def with_cold_starts(latency_ms: Sequence[float], on: ScaleToZero | None) -> Sequence[float]:
    """Quantiles of the latency of requests of which some wait until a replica is ready.

    The request that switches a replica on waits for the whole start; those that come during the start come at any
    moment of it alike (arrivals of a Poisson process, given their number, are uniform) and wait for the rest. All that
    have come by then are answered together, as one batch, so that no queue is left; a server that answers them one by
    one takes longer.

    Args:
        latency_ms: at a replica that is on.
        on: how often it is switched on; None: it is never off.

    Returns:
        So many as `QUANTILES`; the latencies themselves where there are none, or where no request waits.
    """
    if on is None or not on.cold_starts or not latency_ms:
        return latency_ms
    samples, cold = np.array(latency_ms, dtype=float), 1000 * float(on.cold_seconds)
    first, during = float(on.switching_share), float(on.during_share)
    waits = cold * (np.arange(WAITS) + 0.5) / WAITS
    parts = [(samples, 1 - first - during), (samples + cold, first), (np.add.outer(samples, waits).ravel(), during)]
    times = np.concatenate([part for part, _ in parts])
    weights = np.concatenate([np.full(len(part), max(0.0, share) / len(part)) for part, share in parts])
    order = np.argsort(times, kind="stable")
    reached = np.cumsum(weights[order])
    at = np.searchsorted(reached, (np.arange(QUANTILES) + 0.5) / QUANTILES * reached[-1])
    return [float(ms) for ms in times[order][np.minimum(at, len(times) - 1)]]
