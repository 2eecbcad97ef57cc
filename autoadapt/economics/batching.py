"""A replica that answers in batches: from the times of batches to the latencies at any rate of requests.

Whoever is free takes all requests that wait, at most 64, as its next batch; requests arrive at random and do not wait
for answers (Poisson). A burst of a second or two says little about the one request in a hundred that is late, so the
times of batches are measured, and the queue of many requests is computed from them.
"""

import bisect
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoadapt.domain.load import Batch, Load, LoadRun
from autoadapt.economics.rates import least_samples

MOST_BATCH = 64
"""Requests answered together at most."""
SIZES = (1, 2, 4, 8, 16, 32, 64)
"""Batches that are measured."""
FIRST_SIZES = (8, MOST_BATCH)
"""Of these, the ones that are measured first: without full batches the greatest rate is an estimate, and without a
smaller one the time of a full batch is not known before it is begun."""
SIMULATED, SIMULATED_QUEUED, QUEUED = 40_000, 160_000, 0.58
"""Requests of a simulated queue; the second number where the rate is above so large a share of the greatest. Requests
that queue behind each other are late together: by chance alone the share of 40,000 within a target of 99 % deviates by
0.2 to 0.9 points from seven tenths of the greatest rate on."""
ROUGHLY = 2_500
"""Requests where the times of batches are estimates themselves."""
LISTED = 200
"""Requests that stand for all of a simulated run, at equal distances in the order of their latency."""
BUSY_ALONE = 0.01
"""Share of the time that single requests take at the lowest simulated rate: no more of them wait than may be late."""
STEP, ROUGH_STEP = 1.12, 2.0
"""Simulated rates are at most this factor apart; the second where the times of batches are estimates."""
FULL_LOADS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
"""The highest simulated rates as shares of the greatest rate that batches can take; nearer to it, an error of a few
percent in the time of a batch decides whether a queue grows without end."""


class BatchTimes:
    """Times of batches of every size: medians between those measured, and their spread around it.

    Args:
        batches: measured, of at least one size.
    """

    def __init__(self, batches: Sequence[Batch]) -> None:
        sizes = sorted({batch.rows for batch in batches})
        of_size = {n: np.array([b.seconds for b in batches if b.rows == n], dtype=float) for n in sizes}
        # a larger batch is never faster: what seems so is noise
        medians = np.maximum.accumulate([float(np.median(of_size[n])) for n in sizes])
        self._sizes = np.arange(1, MOST_BATCH + 1)
        self.medians: NDArray[Any] = np.interp(self._sizes, sizes, medians)
        """Seconds of batches of 1 to 64 requests, shape (64,)."""
        if sizes[-1] < MOST_BATCH:  # beyond the largest, as long per request as in it
            beyond = self._sizes > sizes[-1]
            self.medians[beyond] = medians[-1] * self._sizes[beyond] / sizes[-1]
        nearest = np.abs(np.subtract.outer(self._sizes, np.array(sizes))).argmin(axis=1)
        spreads = [of_size[n] / np.median(of_size[n]) for n in sizes]
        self._spreads = [spreads[i] for i in nearest]
        self._first = np.array([np.mean([b.first_share for b in batches if b.rows == sizes[i]]) for i in nearest])
        self._tokens = np.array([np.mean([b.tokens_out for b in batches if b.rows == sizes[i]]) for i in nearest])

    @property
    def greatest_rate(self) -> float:
        """Requests per second in the batches that take the least time for each."""
        means = np.array([m * s.mean() for m, s in zip(self.medians, self._spreads, strict=True)])
        return float((self._sizes / means).max())

    def run(self, rate: float, requests: int | None = None, listed: int = LISTED) -> LoadRun:
        """The latencies of many requests at a rate, by simulation.

        Args:
            rate: requests per second.
            requests: simulated; None: as many as the rate needs.
            listed: requests that stand for all.
        """
        if requests is None:
            requests = SIMULATED if rate <= QUEUED * self.greatest_rate else SIMULATED_QUEUED
        random = np.random.default_rng(0)
        moments = np.cumsum(random.exponential(1.0, requests)) / rate
        draws = random.random(requests)
        rows, service, ends = self._batches(moments.tolist(), draws.tolist())
        latency = np.repeat(ends, rows) - moments
        order = np.argsort(latency, kind="stable")
        # as many of all requests as of those listed are at most as late as a listed one
        chosen = order[np.ceil((np.arange(listed) + 1) / listed * requests).astype(int) - 1]
        size, seconds = np.repeat(rows, rows)[chosen], np.repeat(service, rows)[chosen]
        first = latency[chosen] - seconds * (1 - self._first[size - 1])
        tokens = np.rint(self._tokens[size - 1]).astype(int)
        return LoadRun(
            rate=rate,
            sent_seconds=float(moments[-1]),
            seconds=ends[-1],
            ttft_ms=[] if (self._first == 1).all() else [round(float(s) * 1000, 3) for s in first],
            e2el_ms=[round(float(s) * 1000, 3) for s in latency[chosen]],
            tokens_out=tokens.tolist() if self._tokens.max() > 0 else [],
            stands_for=requests / listed,
        )

    def _batches(self, moments: list[float], draws: list[float]) -> tuple[list[int], list[float], list[float]]:
        """Requests, seconds and end of each batch.

        Args:
            moments: at which requests come, in seconds.
            draws: from 0 to 1, as many: each decides how long a batch takes.
        """
        medians, spreads = self.medians.tolist(), [spread.tolist() for spread in self._spreads]
        rows: list[int] = []
        service: list[float] = []
        ends: list[float] = []
        end, i, count = 0.0, 0, len(moments)
        while i < count:
            begin = max(end, moments[i])
            j = i + 1
            if j < count and moments[j] <= begin:
                j = bisect.bisect_right(moments, begin, j, min(i + MOST_BATCH, count))
            spread = spreads[j - i - 1]
            seconds = medians[j - i - 1] * spread[int(draws[len(ends)] * len(spread))]
            end = begin + seconds
            rows.append(j - i)
            service.append(seconds)
            ends.append(end)
            i = j
        return rows, service, ends

    def rates(self, step: float = STEP) -> list[float]:
        """Rates from one at which requests hardly ever wait to nine tenths of the greatest, at most `step` apart."""
        most = self.greatest_rate
        alone = float(self.medians[0] * self._spreads[0].mean())
        low, high = min(BUSY_ALONE / alone, FULL_LOADS[0] * most / step), FULL_LOADS[0] * most
        count = math.ceil(math.log(high / low) / math.log(step))
        return [*np.geomspace(low, high, count + 1).tolist(), *(load * most for load in FULL_LOADS[1:])]

    def runs(self, rate: float) -> list[LoadRun]:
        """Runs at the rate expected first, where the replica can take it, and at rates up to the greatest."""
        first = [rate] if 0 < rate < self.greatest_rate else []
        return [self.run(each) for each in (*first, *self.rates())]

    def rough_runs(self) -> list[LoadRun]:
        """Runs at fewer rates and of fewer requests, for times of batches of which some are estimates."""
        return [self.run(each, ROUGHLY, LISTED // 2) for each in self.rates(ROUGH_STEP)]


def estimated_runs(median_s: float, p95_s: float, row_seconds: float) -> list[LoadRun]:
    """Runs of an option that was not measured under load, from single requests and from its batched evaluation.

    Batches between one request and a full batch take a time between those of the two.

    Args:
        median_s: of single requests.
        p95_s: of single requests.
        row_seconds: per request in full batches.
    """
    # only ratios matter for the queue, and few digits of them: options of a study share simulations. The time of a full
    # batch, from which the greatest rate follows, is rounded up
    step = 10.0 ** (math.floor(math.log10(row_seconds / median_s)) - 1)
    row_share = round(math.ceil(row_seconds / median_s / step - 1e-9) * step, 12)
    units = _estimated_runs(round(max(1.01, p95_s / median_s), 1), row_share)
    return [stretched(run, median_s) for run in units]


@functools.lru_cache(maxsize=512)
def _estimated_runs(tail: float, row_share: float) -> tuple[LoadRun, ...]:
    """The same where single requests take a second in the median."""
    full = Batch(rows=MOST_BATCH, seconds=max(1.0, MOST_BATCH * row_share))
    return tuple(BatchTimes([*_estimated_singles(1.0, tail), full]).rough_runs())


def _estimated_singles(median_s: float, tail: float) -> list[Batch]:
    """Single requests with a median, and with a p95 that is `tail` times as long."""
    levels = (np.arange(40) + 0.5) / 40
    spread = np.interp(levels, [0.0, 0.5, 0.95, 1.0], [1 / tail**0.5, 1.0, tail, tail**1.5])
    return [Batch(rows=1, seconds=median_s * float(ratio)) for ratio in spread]


def has_full_batches(load: Load) -> bool:
    """Whether requests were really sent, or the largest batches were measured: else capacity is an estimate."""
    return load.clock == "real" or any(batch.rows >= MOST_BATCH for batch in load.batches)


def completed(load: Load, row_seconds: float, single_s: tuple[float, float] | None) -> Load:
    """A load test that ran out of time, with estimates of what it has not measured; others as they are.

    Full batches that were not measured take as long per request as in the batched evaluation. Of too few single
    requests for a p95, those that were timed apart take the place: a p95 and a capacity from different samples would
    contradict each other.

    Args:
        load: of the option, or of another one of its serving class.
        row_seconds: of the option per request in full batches; 0: not known.
        single_s: median and p95 of the option's single requests that were timed apart, in seconds; None: not known.
    """
    if load.clock == "real" or not load.batches:
        return load
    row = None if has_full_batches(load) or not row_seconds else row_seconds / load.ratio
    few = single_s is not None and load.single_requests < least_samples(95)
    single = (single_s[0] / load.ratio, single_s[1] / single_s[0]) if few and single_s is not None else None
    if row is None and single is None:
        return load
    # options of one serving class differ in late digits only: they share simulations
    rounded = None if single is None else (float(f"{single[0]:.4g}"), float(f"{single[1]:.3g}"))
    runs = _completed_runs(tuple(load.batches), None if row is None else float(f"{row:.3g}"), rounded)
    update = {"runs": [stretched(run, load.ratio) for run in runs]}
    # the p95 that takes the place rests on at least so many
    return load.model_copy(update=update | ({} if single is None else {"samples": least_samples(95)}))


@functools.lru_cache(maxsize=128)
def _completed_runs(
    batches: tuple[Batch, ...], row_seconds: float | None, single: tuple[float, float] | None
) -> tuple[LoadRun, ...]:
    """Runs from measured batches, with a full one from `row_seconds`, and single ones from their median and tail."""
    known = [batch for batch in batches if batch.rows > 1 or single is None]
    if single is not None:
        known += _estimated_singles(*single)
    if row_seconds is not None:
        known.append(Batch(rows=MOST_BATCH, seconds=MOST_BATCH * row_seconds))
    return tuple(BatchTimes(known).rough_runs())


def stretched(run: LoadRun, ratio: float) -> LoadRun:
    """A run of answers that take `ratio` times as long, at a rate that is as much lower."""
    update = {
        "rate": run.rate / ratio,
        "sent_seconds": run.sent_seconds * ratio,
        "seconds": run.seconds * ratio,
        "ttft_ms": [ms * ratio for ms in run.ttft_ms],
        "e2el_ms": [ms * ratio for ms in run.e2el_ms],
    }
    return run.model_copy(update=update)
