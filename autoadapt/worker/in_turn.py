"""Several options timed in turn, so that what slows the machine down for a while hits all of them alike.

Each is sent a few single requests at a time, after one that does not count: an option that stands between others finds
caches that these have filled. All get the same inputs, and the order changes from round to round.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from autoadapt.domain.jobs import TURN_REQUESTS, TimeInTurn, Turn
from autoadapt.domain.method import Adapted
from autoadapt.domain.outcome import TimesInTurn
from autoadapt.worker.measuring import WARM_UP_REQUESTS, Bench, JobFailedError
from autoadapt.worker.meters import Meters


@dataclass(frozen=True)
class _Loaded:
    """An option that is ready to answer, and its times in milliseconds so far."""

    turn: Turn
    adapted: Adapted
    meters: Meters
    latency_ms: list[float] = field(default_factory=list)

    def time(self, texts: Sequence[str]) -> None:
        self.adapted.answer(texts[:1])
        for text in texts:
            _, seconds = self.meters.timed(lambda text=text: self.adapted.answer([text]))  # type: ignore[misc]
            self.latency_ms.append(seconds * 1000)


def time_in_turn(bench: Bench, job: TimeInTurn, load: Callable[[Turn], tuple[Adapted, Meters]]) -> TimesInTurn:
    """Times the options of a job in whole rounds, as many as there is time for.

    Args:
        bench: what to measure with.
        job: states the options, the number of requests and the longest time.
        load: loads an option beside those that are loaded, and gives what it is measured with.

    Raises:
        JobFailedError: there was no time for one round.
    """
    inputs = [row.input for row in bench.rows()]
    deadline, random = time.monotonic() + job.seconds, np.random.default_rng(job.seed)
    loaded: list[_Loaded] = []
    try:
        for turn in job.options:
            loaded.append(_Loaded(turn, *load(turn)))
            loaded[-1].adapted.prepare(inputs)
            for text in inputs[:WARM_UP_REQUESTS]:
                loaded[-1].adapted.answer([text])
            bench.tick()
        longest, sent = 0.0, 0
        while sent < job.requests and time.monotonic() + longest < deadline:
            begun = time.monotonic()
            count = min(TURN_REQUESTS, job.requests - sent)
            texts = [inputs[i % len(inputs)] for i in range(sent, sent + count)]
            for index in random.permutation(len(loaded)):
                loaded[index].time(texts)
                bench.tick()
            sent += count
            longest = max(longest, time.monotonic() - begun)
    finally:
        for each in loaded:
            each.adapted.close()
    if not sent:
        raise JobFailedError("timeout", "there was no time to send each option a request")
    return TimesInTurn(latency_ms={each.turn.trial: each.latency_ms for each in loaded})
