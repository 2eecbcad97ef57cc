"""How long any candidate will take, from probes of a few: scaled by the text it reads and its passes over the rows."""

import functools
import math
import statistics
from collections.abc import Sequence

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fidelity
from autoadapt.domain.plan import Probe
from autoadapt.shelves import METHODS
from autoadapt.study.prompt_lengths import PromptLengths
from autoadapt.tasks.resolve import ResolvedTask

TOKENS_OF_ANSWER = 8.0
"""Tokens that are written in the time in which a label is read off a short prompt, or a little more on a GPU: what is
written takes a pass through the model for each token."""
CHARACTERS, DEARER = 4, 5
"""Of a token; price of a token that is written over that of one that is read."""


class Times:
    """Seconds of any candidate, from the probes.

    Args:
        resolved: the task.
        probes: those that did not fail.
    """

    def __init__(self, resolved: ResolvedTask, probes: Sequence[Probe]) -> None:
        self.resolved = resolved
        self.probes: dict[tuple[str, str], list[Probe]] = {}
        for one in probes:
            self.probes.setdefault((one.candidate.method, one.candidate.model), []).append(one)
        every = [p.load_seconds for p in probes if p.load_seconds]
        self.load_seconds = {
            key: statistics.median([p.load_seconds for p in group if p.load_seconds] or every or [0.0])
            for key, group in self.probes.items()
        }
        self._lengths = PromptLengths(resolved)

    def known(self, candidate: Candidate) -> bool:
        """Whether its method was probed on its model."""
        return (candidate.method, candidate.model) in self.probes

    def of(self, candidate: Candidate, fidelity: Fidelity) -> tuple[float, float, float]:
        """Seconds of training up to this fidelity, of answering a row, and milliseconds of a single request."""
        nearest = self._nearest(candidate)
        length, there = self._lengths.of(candidate), self._lengths.of(nearest.candidate)
        longer = _written(candidate) / _written(nearest.candidate)
        row = nearest.row_seconds * _ratio(length.computed, there.computed) * longer
        latency = nearest.latency_ms * math.sqrt(_ratio(length.computed, there.computed)) * longer
        train = 0.0
        if METHODS.get(candidate.method).tunes:
            rows, batch = len(self.resolved.splits.train), int(candidate.params.get("batch_size") or 16)
            at_probe = int(nearest.candidate.params.get("batch_size") or 16)
            steps = candidate.steps(rows) * fidelity.steps
            train = steps * nearest.step_seconds * _ratio(length.whole, there.whole) * batch / at_probe
            # the metric on rows for early stopping, once an epoch from half of the schedule on
            late = max(0.0, fidelity.steps - 0.5) * float(candidate.params.get("num_train_epochs") or 1.0)
            train += late * len(self.resolved.splits.dev) * row
        return train, row, latency

    def row_usd(self, candidate: Candidate) -> float:
        """What a provider will bill for a row."""
        nearest = self._nearest(candidate)
        return nearest.row_usd * _ratio(self._billed(candidate), self._billed(nearest.candidate))

    def _billed(self, candidate: Candidate) -> float:
        """Characters that a provider bills, those of reasoning at their higher price."""
        return candidate.samples * self._lengths.of(candidate).whole + CHARACTERS * DEARER * candidate.written_first

    @functools.cached_property
    def judging_row_usd(self) -> float:
        """What the metric's own model will be billed for a row."""
        costs = [probe.judging_row_usd for group in self.probes.values() for probe in group]
        return max(costs, default=0.0)  # answers that were judged before cost nothing, which lowers the others

    def _nearest(self, candidate: Candidate) -> Probe:
        group = self.probes[candidate.method, candidate.model]
        length = self._lengths.of(candidate).computed
        return min(group, key=lambda p: abs(math.log(_ratio(length, self._lengths.of(p.candidate).computed))))


def _written(candidate: Candidate) -> float:
    """How many times as long an answer takes that is written before it is given."""
    return max(candidate.samples, 1.0 + candidate.written_first / TOKENS_OF_ANSWER)


def _ratio(a: float, b: float) -> float:
    return a / b if a > 0 and b > 0 else 1.0
