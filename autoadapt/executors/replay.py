"""Trials answered from a function or a recording, in virtual time: how a search is tested, compared and reproduced.

Nothing is trained and nobody waits: the clock jumps to the end of the step that finishes next, while budget, slots side
by side and rungs are those of a real run.
"""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from autoadapt.domain.outcome import Failure, Measurement, Outcome
from autoadapt.domain.plugins import Executor, Finished
from autoadapt.domain.task import Compute
from autoadapt.domain.trial import Candidate, Devices, Fidelity, Step
from autoadapt.errors import Exit, UserError
from autoadapt.files import read_model, write_json


@dataclass(frozen=True)
class Simulated:
    """What a candidate gives at a fidelity."""

    measurement: Measurement
    """Raw numbers; `train_seconds` is of all the training up to this fidelity."""
    seconds: float
    """Wall-clock seconds of fitting and measuring up to this fidelity, from nothing."""
    loading_seconds: float = 0.0
    """Seconds that every step takes besides."""


Answers = Callable[[Candidate, Fidelity, int], Simulated]
"""(candidate, fidelity, seed) -> what comes of it; an exception makes the step fail."""


class Replay(Executor):
    """Slots in virtual time.

    Args:
        answers: what trials give; None reads ``compute.recording``.
        slots: trials side by side; None takes ``compute.slots``.
    """

    def __init__(self, answers: Answers | None = None, slots: int | None = None) -> None:
        self._answers = {"validation": answers} if answers is not None else {}
        self._slots, self._now = slots, 0.0

    def start(self, run: Path, compute: Compute) -> None:
        if not self._answers:
            if compute.recording is None:
                raise UserError(
                    "the replay executor answers from a recording: "
                    "set compute.recording to the folder of a finished run",
                    Exit.ENVIRONMENT,
                )
            root = Path(compute.recording)
            self._answers = {"validation": read_recording(root), "test": read_recording(root, "test")}
        asked = compute.slots if compute.slots != "auto" else 4
        self.slots = self._slots or asked
        self.devices = Devices(kind="virtual device", count=compute.devices_per_trial, accelerator="cpu")
        self._running: dict[int, tuple[float, Finished]] = {}
        self._ends: list[tuple[float, int]] = []
        self._dropped: list[Finished] = []
        self._trained: dict[int, float] = {}

    @property
    def free(self) -> int:
        return self.slots - len(self._running)

    def now(self) -> float:
        return self._now

    def submit(self, step: Step, folder: Path) -> None:
        outcome = self._outcome(step)
        self._running[step.trial] = (self._now, Finished(step, folder, outcome))
        heapq.heappush(self._ends, (self._now + outcome.seconds, step.trial))

    def next_finished(self, timeout: float) -> Finished | None:
        if self._dropped:
            return self._dropped.pop()
        if not self._ends:
            return None
        self._now, trial = heapq.heappop(self._ends)
        finished = self._running.pop(trial)[1]
        measured = finished.outcome.measurement
        if measured is not None:
            self._trained[trial] = measured.train_seconds
        if finished.folder.is_dir():  # a real run folder, from which the study may be resumed
            write_json(finished.folder / "outcome.json", finished.outcome)
        return finished

    def running_seconds(self) -> dict[int, float]:
        return {n: (self._now - begun) * self.devices.count for n, (begun, _) in self._running.items()}

    def kill_running(self, reason: str) -> None:
        failure = Failure(stage="fit", kind="interrupted", reason=reason)
        for begun, finished in self._running.values():
            change: dict[str, Any] = {"measurement": None, "failure": failure, "seconds": self._now - begun}
            outcome = finished.outcome.model_copy(update={**change, "fit_measure_seconds": self._now - begun})
            self._dropped.append(Finished(finished.step, finished.folder, outcome))
        self._running.clear()
        self._ends.clear()

    def close(self) -> None:
        self._running.clear()
        self._ends.clear()

    def _outcome(self, step: Step) -> Outcome:
        place: dict[str, Any] = {"trial": step.trial, "rung": step.rung, "attempt": step.attempt}
        place["devices"] = self.devices
        try:
            found = self._answers[step.split](step.candidate, step.fidelity, step.seed)
        except (ValueError, ArithmeticError, LookupError) as error:
            failure = Failure(stage="fit", kind="data", reason=f"{type(error).__name__}: {error}")
            return Outcome(**place, failure=failure, seconds=0.0)
        # a trial that goes on from its checkpoint pays for the rest of the training alone
        work = max(1e-6, found.seconds - self._trained.get(step.trial, 0.0))
        seconds = work + found.loading_seconds
        return Outcome(**place, measurement=found.measurement, seconds=seconds, fit_measure_seconds=work)


def read_recording(root: Path, split: Literal["validation", "test"] = "validation") -> Answers:
    """The steps of a run folder as answers.

    A candidate that was not run is answered by the one nearest to it among those of its method and model: the mean over
    parameters of 0 or 1 for choices, and for numbers the distance as a share of the range recorded (of logarithms where
    it spans more than a factor of ten). On test rows only what was re-scored itself is answered.

    Args:
        root: the run folder.
        split: which rows' answers.

    Raises:
        UserError: there is no finished step in it.
    """
    steps: dict[tuple[str, str], list[tuple[Step, Outcome, float]]] = {}
    for path in sorted((root / "trials").glob("*/test*/trial.json" if split == "test" else "*/rung*/trial.json")):
        step, outcome = read_model(path, Step), read_model(path.parent / "outcome.json", Outcome)
        if step is None or outcome is None or outcome.measurement is None:
            continue
        group = steps.setdefault((step.candidate.method, step.candidate.model), [])
        before = [o.measurement.train_seconds for s, o, _ in group if s.trial == step.trial and o.measurement]
        group.append((step, outcome, outcome.fit_measure_seconds + max(before, default=0.0)))
    if not steps and split == "validation":
        raise UserError(f"{root}: holds no finished step to replay", Exit.DATA)
    scales = {key: _scales([s.candidate for s, _, _ in group]) for key, group in steps.items()}

    def answer(candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        key = (candidate.method, candidate.model)
        group = [r for r in steps.get(key, []) if split == "validation" or r[0].candidate == candidate]
        if not group:
            raise LookupError(
                f"no {split} answer of such a {candidate.method} on {candidate.model} was recorded in {root}"
            )

        def distance(step: Step) -> tuple[float, float]:
            own = step.fidelity
            far = abs(math.log(own.rows / fidelity.rows)) + abs(math.log(own.steps / fidelity.steps))
            return round(_distance(step.candidate, candidate, scales[key]), 9), far

        _, outcome, seconds = min(group, key=lambda record: distance(record[0]))
        assert outcome.measurement is not None
        return Simulated(outcome.measurement, seconds, max(0.0, outcome.seconds - outcome.fit_measure_seconds))

    return answer


def _scales(candidates: list[Candidate]) -> dict[str, tuple[bool, float]]:
    """Of every number: whether to take its logarithm, and its range."""
    found = {}
    for name in {n for c in candidates for n in c.params}:
        values = [v for c in candidates if (v := c.params.get(name)) is not None]
        numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(numbers) == len(values):
            log = min(numbers) > 0 and max(numbers) / min(numbers) > 10
            ends = [math.log(x) if log else x for x in (min(numbers), max(numbers))]
            found[name] = (log, max(ends[1] - ends[0], 1e-9))
    return found


def _distance(a: Candidate, b: Candidate, scales: dict[str, tuple[bool, float]]) -> float:
    names = sorted({*a.params, *b.params})
    total = 0.0
    for name in names:
        x, y = a.params.get(name), b.params.get(name)
        if name in scales and isinstance(x, int | float) and isinstance(y, int | float):
            log, span = scales[name]
            total += min(1.0, abs((math.log(x) - math.log(y)) if log and x > 0 and y > 0 else x - y) / span)
        else:
            total += x != y
    return total / max(1, len(names))
