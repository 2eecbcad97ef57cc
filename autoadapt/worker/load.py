"""One option under load: requests arrive at random times that do not wait for answers, on a device of its own.

Arrivals are Poisson and fixed beforehand (an open loop; a client that waits for each answer hides queueing, which is
known as coordinated omission). All requests that have arrived by the time the model is free form the next batch.
Batches are really computed and timed; only the time in which nobody waits is skipped, so that a rate of one request a
minute can be measured in seconds. Queueing is computed from the measured times.
"""

import time
from collections.abc import Callable, Sequence

from autoadapt.domain.jobs import LoadTest
from autoadapt.domain.load import Load, LoadRun
from autoadapt.domain.method import Adapted, Answer
from autoadapt.domain.usage import Usage
from autoadapt.economics.rates import arrivals, requests_for, sweep
from autoadapt.worker.measuring import Bench, billed_usage

WARM_UP_REQUESTS = 3
LEAST_REQUESTS = 20
"""Requests at each rate, however slow the answers are."""
MOST_BATCH = 64
"""Requests answered together at most."""
Answering = Callable[[Sequence[str]], list[Answer]]
"""Answers a batch."""


def answer_arrivals(answer: Answering, inputs: Sequence[str], times: Sequence[float], rate: float) -> LoadRun:
    """Answers requests; all that are queued form one batch.

    Args:
        answer: answers a batch, each answer states the seconds after which it was whole.
        inputs: texts asked, used again when they run out.
        times: of the requests in seconds, rising.
        rate: requests per second, for the record.
    """
    ttft, e2el, tokens = [], [], []
    clock, i = 0.0, 0
    while i < len(times):
        clock = max(clock, times[i])
        waiting = [k for k in range(i, min(i + MOST_BATCH, len(times))) if times[k] <= clock]
        begun = time.perf_counter()
        for k, one in zip(waiting, answer([inputs[k % len(inputs)] for k in waiting]), strict=True):
            ttft.append(round((clock + one.first_s - times[k]) * 1000, 3))
            e2el.append(round((clock + one.done_s - times[k]) * 1000, 3))
            tokens.append(one.tokens_out)
        clock += time.perf_counter() - begun
        i += len(waiting)
    return LoadRun(rate=rate, sent_seconds=times[-1], seconds=clock, ttft_ms=ttft, e2el_ms=e2el, tokens_out=tokens)


def load_test(bench: Bench, job: LoadTest, load: Callable[[], Adapted]) -> Load:
    """Measures an option from its cold start to the greatest rate at which it meets the latency target.

    Args:
        bench: what to measure with.
        job: states the rate expected, the latency target and the number of requests at each rate.
        load: loads the option onto an empty device.
    """
    inputs = [row.input for row in bench.rows()]
    begun = time.perf_counter()
    adapted = load()
    billing = _Billing(adapted.answer)
    try:
        billing.answer(inputs[:1])
        cold = time.perf_counter() - begun
        prefix = adapted.prepare(inputs)
        warm_up = inputs[:WARM_UP_REQUESTS]
        fastest = min(billing.answer([text])[0].done_s for text in warm_up)
        # slow answers leave time for fewer requests; what cannot be stated of so few is not stated
        requests = min(job.requests, max(LEAST_REQUESTS, int(job.seconds / fastest)))
        runs = _runs(bench, job, billing.answer, inputs, requests, fastest)
        return Load(
            runs=runs,
            cold_start_s=cold,
            prefix_cache="warm" if prefix else "cold",
            engine="this process, all queued requests form one batch",
            clock="idle skipped",
            hardware=bench.devices.kind,
            warm_up=len(warm_up),
            usage=billing.usage,
        )
    finally:
        adapted.close()


class _Billing:
    """Answers, and adds up what a server bills for that."""

    def __init__(self, answer: Answering) -> None:
        self._answer, self.usage = answer, Usage()

    def answer(self, inputs: Sequence[str]) -> list[Answer]:
        answers = self._answer(inputs)
        self.usage = self.usage.plus(billed_usage(answers))
        return answers


def _runs(
    bench: Bench, job: LoadTest, answer: Answering, inputs: Sequence[str], requests: int, fastest: float
) -> list[LoadRun]:
    deadline, took = time.monotonic() + job.seconds, 0.0

    def measure_at(rate: float) -> LoadRun:
        nonlocal took
        begun = time.monotonic()
        times = arrivals(rate, requests_for(rate, requests, job.latency_p95_ms), job.seed)
        run = answer_arrivals(answer, inputs, times, rate)
        took = time.monotonic() - begun
        bench.tick()
        return run

    def has_time() -> bool:
        return time.monotonic() + took < deadline  # the next rate will take about as long as the last one

    runs = [measure_at(job.rate)] if job.rate > 0 else []
    if has_time():
        runs += sweep(measure_at, max(job.rate, 0.5 / fastest), job.latency_p95_ms, has_time)
    return runs
