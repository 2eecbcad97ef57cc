"""One option under load: requests come at random times that do not wait for answers, and the device is its own.

Arrivals are Poisson and fixed beforehand (an open loop; a client that waits for each answer hides queueing, which is
known as coordinated omission). All that has come by the time the model is free is answered as the next batch. Batches
are really computed and timed; only the time in which nobody waits is skipped, so that a rate of one request a minute
can be measured in seconds. Queueing is computed from the measured times.
"""

import time
from collections.abc import Callable, Sequence

from autoadapt.domain.load import Load, LoadRun
from autoadapt.domain.plugins import Adapted, Answer, Context
from autoadapt.economics.rates import arrivals, requests_for, sweep

WARM_UP_REQUESTS = 3
LEAST_REQUESTS = 20
"""Requests at each rate, however slow the answers are."""
MOST_BATCH = 64
"""Requests answered together at most."""


def answered(
    answer: Callable[[Sequence[str]], list[Answer]], inputs: Sequence[str], times: Sequence[float], rate: float
) -> LoadRun:
    """Answers requests in batches of all that wait.

    Args:
        answer: answers a batch, each answer with the seconds after which it was there.
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


def load_test(context: Context, fit: Callable[[], Adapted]) -> Load:
    """Measures an option from its cold start to the greatest rate at which it keeps its promise.

    Args:
        context: the step, with the rate expected, the promise and the number of requests at each rate.
        fit: loads the option.
    """
    from autoadapt.models.causal_lm import language_model

    step = context.step
    inputs = [row.input for row in context.rows(step.rows_of, step.fidelity.rows)]
    language_model.drop()
    begun = time.perf_counter()
    adapted = fit()
    try:
        adapted.answer(inputs[:1])
        cold = time.perf_counter() - begun
        prefix = adapted.prepare(inputs)
        warm_up = inputs[:WARM_UP_REQUESTS]
        alone = [adapted.answer([text])[0].done_s for text in warm_up]
        # slow answers leave time for fewer requests; what cannot be stated of so few is not stated
        most = int(step.evaluation.load_seconds / min(alone))
        requests = min(step.fidelity.latency_requests, max(LEAST_REQUESTS, most))
        deadline = time.monotonic() + step.evaluation.load_seconds

        def measure(rate: float) -> LoadRun:
            times = arrivals(rate, requests_for(rate, requests, step.promise_ms), step.seed)
            run = answered(adapted.answer, inputs, times, rate)
            context.tick()
            return run

        def go_on() -> bool:
            return time.monotonic() < deadline

        runs = [measure(step.rate)] if step.rate > 0 else []
        if go_on():
            runs += sweep(measure, max(step.rate, 0.5 / min(alone)), step.promise_ms, go_on)
        return Load(
            runs=runs,
            cold_start_s=cold,
            prefix_cache="warm" if prefix else "cold",
            engine="transformers, all that waits as one batch",
            clock="idle skipped",
            hardware=context.devices.kind,
            warm_up=len(warm_up),
        )
    finally:
        adapted.close()
