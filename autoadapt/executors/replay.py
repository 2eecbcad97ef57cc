"""Jobs answered from a function or a recording, in virtual time: how a search is tested, compared and reproduced.

Nothing is trained and nobody waits: the clock jumps to the end of the job that finishes next, while budget, slots side
by side and rungs are those of a real run.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.executor import Executor, JobDone, Signal, WorkerGroup
from autoadapt.domain.jobs import Devices, Fidelity, Fit, Job, Score
from autoadapt.domain.outcome import Failure, Measurement, Outcome
from autoadapt.domain.task import Compute
from autoadapt.errors import Exit, UserError
from autoadapt.files import read_whole, write_json
from autoadapt.registry import expanded

VIRTUAL_DEVICE = "virtual device"
"""Kind of device on which replayed jobs run."""


@dataclass(frozen=True)
class Simulated:
    """What a candidate gives at a fidelity."""

    measurement: Measurement
    """Raw numbers; `train_seconds` is of all the training up to this fidelity."""
    seconds: float
    """Wall-clock seconds of fitting and measuring up to this fidelity, from nothing."""
    loading_seconds: float = 0.0
    """Further seconds that every job takes."""


Answers = Callable[[Candidate, Fidelity, int], Simulated]
"""(candidate, fidelity, seed) -> its result; an exception makes the job fail."""


class ReplayGroup(WorkerGroup):
    """One slot in virtual time; its job's outcome is known from the beginning and reported at its end.

    Args:
        executor: has the clock and the answers.
    """

    def __init__(self, executor: "Replay") -> None:
        self.ranks, self.cold = 1, True
        self._executor = executor
        self._job: tuple[Path, Outcome] | None = None
        self.end = math.inf
        """When its job will be done; infinite: it has none."""

    def send(self, job: Job, folder: Path) -> None:
        outcome = self._executor.outcome(job)
        self.cold, self._job, self.end = False, (folder, outcome), self._executor.now() + outcome.seconds

    def signals(self) -> list[Signal]:
        if self._job is None or self._executor.now() < self.end:
            return []
        folder, outcome = self._job
        self._job, self.end = None, math.inf
        self._executor.note_trained(outcome)
        if folder.is_dir():  # a real run folder, from which the study may be resumed
            write_json(folder / "outcome.json", outcome)
        return [JobDone(0, folder, outcome=outcome)]

    def heartbeat(self, folder: Path) -> int:
        return 0

    def kill(self) -> None:
        self._job, self.end = None, math.inf


class Replay(Executor):
    """Slots in virtual time.

    Args:
        settings: none.
        answers: what fits give; None reads ``compute.recording``.
        scores: what finished options give on test rows; None: those jobs fail, unless there is a recording.
        slots: jobs side by side; None takes ``compute.slots``.
    """

    kills: ClassVar[bool] = False
    saves: ClassVar[bool] = False

    def __init__(
        self,
        settings: Any = None,
        *,
        answers: Answers | None = None,
        scores: Answers | None = None,
        slots: int | None = None,
    ) -> None:
        super().__init__(settings)
        given = {"fit": answers, "score": scores}
        self._answers = {kind: function for kind, function in given.items() if function is not None}
        self._slots, self._now = slots, 0.0

    def open(self, run: Path, compute: Compute, preload: Sequence[str] = ()) -> None:
        if not self._answers:
            if compute.recording is None:
                raise UserError(
                    "the replay executor answers from a recording: "
                    "set compute.recording to the folder of a finished run",
                    Exit.ENVIRONMENT,
                )
            root = Path(expanded(compute.recording))
            self._answers = {"fit": read_recording(root), "score": read_recording(root, Score)}
        self.slots = self._slots or (compute.slots if compute.slots != "auto" else 4)
        self.devices = Devices(kind=VIRTUAL_DEVICE, count=compute.devices_per_trial, accelerator="cpu")
        self._groups: dict[int, ReplayGroup] = {}
        self._trained: dict[int, float] = {}
        """Trial -> virtual seconds of training it has done."""

    def start(self, slot: int) -> ReplayGroup:
        self._groups[slot] = ReplayGroup(self)
        return self._groups[slot]

    def now(self) -> float:
        return self._now

    def wait(self, until: float) -> None:
        """Sets the clock to the end of the job that finishes next, even after `until`: jobs may take virtual hours."""
        end = min((group.end for group in self._groups.values()), default=math.inf)
        if end < math.inf:
            self._now = max(self._now, end)

    def close(self) -> None:
        self._groups.clear()

    def note_trained(self, outcome: Outcome) -> None:
        """Remembers the training that a trial has done, from which its next rung continues."""
        if isinstance(outcome.result, Measurement):
            self._trained[outcome.trial] = outcome.result.train_seconds

    def outcome(self, job: Job) -> Outcome:
        """The outcome that a job begun now will have."""
        try:
            if not isinstance(job, Fit | Score) or job.kind not in self._answers:
                raise LookupError(f"a job of kind {job.kind} cannot be replayed")
            simulated = self._simulated(job, _fidelity(job))
        except (ValueError, ArithmeticError, LookupError) as error:
            failure = Failure(stage="fit", failure_class="data", reason=f"{type(error).__name__}: {error}")
            return Outcome.of(job, failure, self.devices, 0.0)
        # a trial that continues from its checkpoint takes only the rest of the training
        work = max(1e-6, simulated.seconds - self._trained.get(job.trial, 0.0))
        seconds = work + simulated.loading_seconds
        return Outcome.of(job, simulated.measurement, self.devices, seconds, fit_measure_seconds=work)

    def _simulated(self, job: Fit | Score, fidelity: Fidelity) -> Simulated:
        """What a job gives; a training whose time is up gives what a part of the schedule gives."""
        answers = self._answers[job.kind]
        simulated = answers(job.candidate, fidelity, job.seed)
        before = self._trained.get(job.trial, 0.0)
        training, most = simulated.measurement.train_seconds - before, getattr(job, "training_seconds", None)
        if most is None or training <= most:
            return simulated
        share = (before + most) / simulated.measurement.train_seconds
        cut = answers(job.candidate, fidelity.model_copy(update={"steps": fidelity.steps * share}), job.seed)
        steps = {"train_steps": round(1000 * share), "train_steps_planned": 1000}
        return Simulated(cut.measurement.model_copy(update=steps), cut.seconds, cut.loading_seconds)


def _fidelity(job: Fit | Score) -> Fidelity:
    return job.fidelity if isinstance(job, Fit) else Fidelity(rows=job.rows, steps=1.0, latency_requests=0)


@dataclass(frozen=True)
class _Recorded:
    """A job of a run that was measured."""

    job: Fit | Score
    measurement: Measurement
    seconds: float
    """Of fitting and measuring, from nothing."""
    loading_seconds: float


def read_recording(root: Path, kind: type[Fit] | type[Score] = Fit) -> Answers:
    """The jobs of a run folder as answers.

    A candidate that was not run is answered by the one nearest to it among those of its method and model: the mean over
    parameters of 0 or 1 for choices, and for numbers the distance as a share of the range recorded (of logarithms where
    it spans more than a factor of ten). On test rows only what was scored itself is answered.

    Args:
        root: the run folder.
        kind: the jobs that answer: fits, or finished options scored on test rows.

    Raises:
        UserError: there is no fit in it that was measured.
    """
    recorded = _read_jobs(root, kind)
    if not recorded and kind is Fit:
        raise UserError(f"{root}: there is no finished job to replay", Exit.DATA)
    scales = {key: _scales([r.job.candidate for r in group]) for key, group in recorded.items()}

    def answer(candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        key = (candidate.method, candidate.model)
        group = [r for r in recorded.get(key, []) if kind is Fit or r.job.candidate == candidate]
        if not group:
            what = "fit" if kind is Fit else "score"
            raise LookupError(f"no {what} of such a {candidate.method} on {candidate.model} was recorded in {root}")

        def distance(record: _Recorded) -> tuple[float, float]:
            known = _fidelity(record.job)
            apart = abs(math.log(known.rows / fidelity.rows)) + abs(math.log(known.steps / fidelity.steps))
            return round(_distance(record.job.candidate, candidate, scales[key]), 9), apart

        nearest = min(group, key=distance)
        return Simulated(nearest.measurement, nearest.seconds, nearest.loading_seconds)

    return answer


def _read_jobs(root: Path, kind: type[Fit] | type[Score]) -> dict[tuple[str, str], list[_Recorded]]:
    """(method, model) -> jobs that were measured."""
    recorded: dict[tuple[str, str], list[_Recorded]] = {}
    for path in sorted((root / "trials").glob("*/rung*/job.json" if kind is Fit else "*/score*/job.json")):
        job, outcome = read_whole(path, kind), read_whole(path.parent / "outcome.json", Outcome)
        if job is None or outcome is None or not isinstance(outcome.result, Measurement):
            continue
        group = recorded.setdefault((job.candidate.method, job.candidate.model), [])
        before = max((r.measurement.train_seconds for r in group if r.job.trial == job.trial), default=0.0)
        loading = max(0.0, outcome.seconds - outcome.fit_measure_seconds)
        group.append(_Recorded(job, outcome.result, outcome.fit_measure_seconds + before, loading))
    return recorded


def _scales(candidates: list[Candidate]) -> dict[str, tuple[bool, float]]:
    """Of every number: whether to take its logarithm, and its range."""
    scales = {}
    for name in {n for c in candidates for n in c.params}:
        values = [v for c in candidates if (v := c.params.get(name)) is not None]
        numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(numbers) == len(values):
            log = min(numbers) > 0 and max(numbers) / min(numbers) > 10
            ends = [math.log(x) if log else x for x in (min(numbers), max(numbers))]
            scales[name] = (log, max(ends[1] - ends[0], 1e-9))
    return scales


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
