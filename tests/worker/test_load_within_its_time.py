"""What a load test measures where its time is short; the clock is made up."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from job_runs import JobRun, scripted

from autoadapt.domain.load import Batch
from autoadapt.domain.method import Answer
from autoadapt.worker import load

FIXED, EACH = 0.04, 0.01
"""Seconds of a batch, and of each of its requests."""


class Clock:
    """Seconds pass only while something is answered."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        self.now += FIXED + EACH * len(texts)
        return [Answer(text="a", tokens_in=1, tokens_out=1)] * len(texts)

    def timed(self, work: Any) -> tuple[Any, float]:
        begun = self.now
        return work(), self.now - begun


def measured(folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[Batch]:
    clock = Clock()
    monkeypatch.setattr(load.time, "monotonic", clock.monotonic)
    bench: Any = SimpleNamespace(meters=clock, tick=lambda: None)
    jobs = JobRun(folder / "run", scripted())
    job = jobs.load_test(jobs.fit("prompt"), requests=100, seconds=seconds)
    found = load._Batches(bench, job, clock.answer, ["a", "b"]).measured()
    assert clock.now <= seconds
    return found


def test_full_batches_are_measured_before_the_time_is_spent_on_single_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: 100 single requests of 50 ms took all of 4 s, so that no larger batch was measured."""
    counts = Counter(batch.rows for batch in measured(tmp_path, monkeypatch, 4.0))
    assert counts[8] == counts[64] == 1
    assert counts[1] >= 59


def test_with_time_every_size_is_measured_in_rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Counter(batch.rows for batch in measured(tmp_path, monkeypatch, 60.0))
    assert set(counts) == {1, 2, 4, 8, 16, 32, 64}
    assert counts[1] >= 99
    assert min(counts.values()) >= 9
