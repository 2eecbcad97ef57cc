"""One option under load, on a device of its own: the times of batches of 1 to 64 requests, in turn.

Single requests are measured most often, for a p95 rests on them; batches of every size are measured in rounds, so that
a slow moment of the machine hits all sizes alike. Before that come those batches on which the greatest rate rests: a
test that runs out of time has them. What requests wait at any rate is simulated from these times
(`economics.batching`): a real burst of a few seconds would say little about the one request in a hundred that is late.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from autoadapt.domain.jobs import LoadBase
from autoadapt.domain.load import Batch, Load
from autoadapt.domain.method import Adapted, Answer
from autoadapt.domain.usage import Usage
from autoadapt.economics.batching import FIRST_SIZES, SIZES, BatchTimes
from autoadapt.worker.measuring import Bench, billed_usage

WARM_UP_REQUESTS = 3
ROUNDS = 10
"""In which batches of every size are measured."""
SINGLE_SHARE = 0.5
"""Share of the time beyond which single requests are not measured in rounds."""
LEAST_TO_DROP = 3
"""Batches of a size from which the first one is left out."""
Answering = Callable[[Sequence[str]], list[Answer]]
"""Answers a batch."""


def load_test(bench: Bench, job: LoadBase, load: Callable[[], Adapted]) -> Load:
    """Measures an option from its cold start to full batches.

    Args:
        bench: what to measure with.
        job: states the rate expected and the number of single requests.
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
        for text in inputs[:WARM_UP_REQUESTS]:
            billing.answer([text])
        batches = _Batches(bench, job, billing.answer, inputs).measured()
        return Load(
            runs=BatchTimes(batches).runs(job.rate),
            batches=batches,
            cold_start_s=cold,
            prefix_cache="warm" if prefix else "cold",
            engine="this process, all queued requests form one batch",
            clock="simulated",
            hardware=bench.devices.kind,
            warm_up=min(len(inputs), WARM_UP_REQUESTS),
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


class _Batches:
    """Measures batches of one option.

    Args:
        bench: what to measure with.
        job: states the number of single requests and the longest time.
        answer: answers a batch.
        inputs: texts asked, drawn at random.
    """

    def __init__(self, bench: Bench, job: LoadBase, answer: Answering, inputs: Sequence[str]) -> None:
        self._bench, self._job, self._answer, self._inputs = bench, job, answer, inputs
        self._random = np.random.default_rng(job.seed)
        self._deadline = time.monotonic() + job.seconds
        self._took: dict[int, float] = {}
        """Wall-clock seconds of the last batch of each size."""
        self._measured: list[Batch] = []

    def measured(self) -> list[Batch]:
        """Single requests and batches of every size, as many as there is time for; at least one of a single request."""
        self._measure(1)
        for size in FIRST_SIZES:
            if self._has_time(size):
                self._measure(size)
        # where single requests take most of the time they come before all further batches, for everything rests on them
        slow = self._job.requests * self._took[1] > SINGLE_SHARE * self._job.seconds
        rounds = 1 if slow else ROUNDS
        single = [1] * max(1, round(self._job.requests / rounds))
        for number in range(rounds):
            sizes = [*single, *SIZES[1:]]
            for size in self._random.permutation(sizes) if number else sizes:
                if self._has_time(int(size)):
                    self._measure(int(size))
        return self._warm()

    def _warm(self) -> list[Batch]:
        """Without the first batch of each size, of which there are others: memory for it was not allocated yet."""
        counts, seen, warm = Counter(batch.rows for batch in self._measured), set[int](), []
        for batch in self._measured:
            if batch.rows in seen or counts[batch.rows] < LEAST_TO_DROP:
                warm.append(batch)
            seen.add(batch.rows)
        return warm

    def _has_time(self, size: int) -> bool:
        smaller = [s for s in self._took if s <= size]
        expected = self._took[max(smaller)] * (size / max(smaller))
        return time.monotonic() + expected < self._deadline

    def _measure(self, size: int) -> None:
        texts = [self._inputs[i] for i in self._random.integers(len(self._inputs), size=size)]
        begun = time.monotonic()
        answers, seconds = self._bench.meters.timed(lambda: self._answer(texts))
        self._took[size] = time.monotonic() - begun
        first = 1.0
        if not self._job.labels:
            first = min(1.0, sum(a.first_s for a in answers) / len(answers) / self._took[size])
        tokens = sum(a.tokens_out for a in answers) / len(answers) if self._job.writes else 0.0
        self._measured.append(Batch(rows=size, seconds=seconds, first_share=first, tokens_out=tokens))
        self._bench.tick()
