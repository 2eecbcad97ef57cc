"""The supervisor of an executor: the only thing through which a study runs jobs.

    supervisor = Supervisor(executor, compute, run, prepare)
    while supervisor.free:
        supervisor.submit(job, folder)
    finished = supervisor.next_finished(timeout=0.5)
    supervisor.close()

A job leases a slot until its outcome is accepted. Only the outcome of that very attempt is: a worker that was thought
lost and reports later changes nothing (it is fenced). Time limits, retries and the replacement of workers are the same
wherever the workers run.
"""

import contextlib
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoadapt.domain.executor import Executor, Finished, JobDone, WorkerGroup, WorkerLost
from autoadapt.domain.jobs import Devices, Job
from autoadapt.domain.outcome import Failure, FailureClass, Outcome
from autoadapt.domain.task import Compute
from autoadapt.files import read_model, write_json
from autoadapt.supervision.retries import may_retry, next_attempt

OTHER_RANKS_SECONDS = 30.0
"""How long the other ranks of a group may take to finish after rank 0 has."""
CHECK_SECONDS = 0.25
"""Time limits are checked at least this often."""


@dataclass
class _Lease:
    """A slot held by a job."""

    job: Job
    folder: Path
    started: float
    failed_before: tuple[FailureClass, ...]
    group: WorkerGroup
    cold: bool
    beat: int
    beat_seen: float
    """When the heartbeat was last seen to change."""
    done: dict[int, JobDone] = field(default_factory=dict)
    """Rank -> its message that its part is done."""
    leader_done: float | None = None
    """When rank 0 was done."""


@dataclass
class _Slot:
    number: int
    group: WorkerGroup | None = None
    lease: _Lease | None = None


class Supervisor:
    """Runs jobs in the slots of an executor.

    Args:
        executor: launches the workers; not opened yet.
        compute: slots, devices and time limits of the task.
        run: the run folder.
        prepare: makes the folder of a job, with its ``job.json``, and returns it; called for jobs that are tried again.
        preload: modules that workers have imported before their first job.

    Raises:
        UserError: the machine cannot do what the task asks.
    """

    def __init__(
        self,
        executor: Executor,
        compute: Compute,
        run: Path,
        prepare: Callable[[Job], Path],
        preload: Sequence[str] = (),
    ) -> None:
        self._executor, self._compute, self._prepare = executor, compute, prepare
        executor.open(run, compute, preload)
        self.slots: int = executor.slots
        """Jobs that can run side by side."""
        self.devices: Devices = executor.devices
        """What each slot gives to a job."""
        self._slots = [_Slot(number) for number in range(executor.slots)]
        self._finished: deque[Finished] = deque()
        self._stopping = False
        self.asked_to_stop: Callable[[], bool] = lambda: False
        """Whether this process was asked to stop: from then on no job is tried again."""

    @property
    def free(self) -> int:
        """Slots that can take a job now; the slot of a job that ended can when `next_finished` has returned it."""
        waiting = sum(not finished.retried for finished in self._finished)
        return sum(slot.lease is None for slot in self._slots) - waiting

    def now(self) -> float:
        """Seconds of the clock by which jobs take time; differences alone mean anything."""
        return self._executor.now()

    @property
    def saves(self) -> bool:
        """Whether jobs that fit leave their option's files behind."""
        return self._executor.saves

    def submit(self, job: Job, folder: Path, failed_before: Sequence[FailureClass] = ()) -> None:
        """Runs a job in a free slot.

        Args:
            job: its ``job.json`` is in `folder`.
            folder: of this attempt.
            failed_before: classes of the failures of earlier attempts, after a resume.

        Raises:
            RuntimeError: no slot is free.
        """
        # a slot whose workers are running comes first: they need not be started
        idle = sorted((s for s in self._slots if s.lease is None), key=lambda s: (s.group is None, s.number))
        if self.free < 1:
            raise RuntimeError("no slot is free")
        self._dispatch(idle[0], job, folder, tuple(failed_before))

    def next_finished(self, timeout: float) -> Finished | None:
        """The next attempt that ended; None after `timeout` seconds, at once when nothing runs or a stop is asked for.

        A failed attempt that is tried again is returned too, with `retried` set.
        """
        deadline = self.now() + timeout
        while True:
            self.look_after_jobs()
            if self._finished:
                return self._finished.popleft()
            idle = all(slot.lease is None for slot in self._slots)
            if idle or self.now() >= deadline or self.asked_to_stop():
                return None
            self._executor.wait(min(deadline, self.now() + CHECK_SECONDS))

    def look_after_jobs(self) -> None:
        """Takes what workers report and holds their time limits; `next_finished` does it too and returns what ended."""
        for slot in self._slots:
            if slot.lease is not None:
                self._check(slot, slot.lease)

    def running_seconds(self) -> dict[int, float]:
        """Trial number -> device-seconds held so far by its attempts that `next_finished` has not returned."""
        held: dict[int, float] = defaultdict(float)
        for finished in self._finished:
            held[finished.job.trial] += finished.outcome.device_seconds
        for slot in self._slots:
            if slot.lease is not None:
                held[slot.lease.job.trial] += (self.now() - slot.lease.started) * self.devices.count
        return dict(held)

    def running_jobs(self) -> list[tuple[Job, float]]:
        """The jobs that run, each with the seconds that its attempt has taken so far."""
        leases = [slot.lease for slot in self._slots if slot.lease is not None]
        return [(lease.job, self.now() - lease.started) for lease in leases]

    def stop_running(self, reason: str, seconds: float) -> None:
        """Ends every running job as `kill_running` does, but gives trainings time to save a checkpoint.

        Args:
            reason: why.
            seconds: that jobs may take to end by themselves; 0: none.
        """
        self._stopping, deadline = True, self.now() + seconds
        asked = [s for s in self._slots if s.lease is not None and seconds > 0 and s.lease.group.ask_to_stop()]
        for slot in self._slots:
            if slot.lease is not None and slot not in asked:
                self._kill_job(slot, slot.lease, "interrupted", reason)
        while self.now() < deadline and any(slot.lease is not None for slot in asked):
            self._executor.wait(min(deadline, self.now() + CHECK_SECONDS))
            for slot in asked:
                if slot.lease is not None:
                    self._check(slot, slot.lease)
        self.kill_running(reason)
        self._stopping = False

    def kill_running(self, reason: str) -> None:
        """Ends every running job; each comes back from `next_finished`, and none is tried again.

        A job comes back as interrupted, unless it had just written another outcome.
        """
        for slot in self._slots:
            if slot.lease is not None:
                self._kill_job(slot, slot.lease, "interrupted", reason, retry=False)

    def close(self) -> None:
        """Ends every worker, waits for it, and closes the executor."""
        for slot in self._slots:
            slot.lease = None
            self._drop_group(slot)
        self._executor.close()

    def _dispatch(self, slot: _Slot, job: Job, folder: Path, failed_before: tuple[FailureClass, ...]) -> None:
        started = self.now()
        if slot.group is not None and any(isinstance(s, WorkerLost) for s in slot.group.signals()):
            self._drop_group(slot)  # it ended while it had nothing to do
        try:
            group = slot.group = slot.group or self._executor.start(slot.number)
        except OSError as error:
            failure = Failure(stage="start", failure_class="crash", reason=f"no worker can be started: {error}")
            self._finished.append(Finished(job, folder, self._outcome(job, folder, failure, 0.0, True)))
            return
        cold = group.cold
        group.send(job, folder)
        beat = group.heartbeat(folder)
        slot.lease = _Lease(job, folder, started, failed_before, group, cold, beat, started)

    def _check(self, slot: _Slot, lease: _Lease) -> None:
        """Takes what the slot's workers report, and ends its job when it is done, lost, silent or over time."""
        lost: WorkerLost | None = None
        for signal in lease.group.signals():
            if isinstance(signal, WorkerLost):
                if signal.rank not in lease.done:  # else it asked to be replaced, and ended
                    lost = lost or signal
            elif signal.folder == lease.folder:  # else a late message about an earlier job
                lease.done[signal.rank] = signal
        if 0 in lease.done:
            self._check_done(slot, lease)
        elif lost is not None:
            self._kill_job(slot, lease, "interrupted" if self._stopping else lost.failure_class, lost.reason)
        elif self._executor.kills:
            self._check_limits(slot, lease)

    def _check_done(self, slot: _Slot, lease: _Lease) -> None:
        now = self.now()
        lease.leader_done = lease.leader_done if lease.leader_done is not None else now
        outcome = self._accepted(lease)
        if outcome is None:
            self._kill_job(slot, lease, "crash", "the worker's outcome.json is missing, damaged or of another attempt")
            return
        everyone = len(lease.done) == lease.group.ranks
        failed = isinstance(outcome.result, Failure)  # the other ranks may wait for rank 0 forever
        if everyone or failed or now - lease.leader_done > OTHER_RANKS_SECONDS:
            if not everyone or any(signal.retire for signal in lease.done.values()):
                self._drop_group(slot)
            self._finish(slot, lease, outcome)

    def _check_limits(self, slot: _Slot, lease: _Lease) -> None:
        now, limits = self.now(), self._compute
        beat = lease.group.heartbeat(lease.folder)
        if beat != lease.beat:
            lease.beat, lease.beat_seen = beat, now
        if now - lease.started > limits.trial_timeout_s:
            reason = f"over compute.trial_timeout_s = {limits.trial_timeout_s:g} s"
            self._kill_job(slot, lease, "timeout", reason)
        elif lease.job.longest_seconds is not None and now - lease.started > lease.job.longest_seconds:
            reason = (
                f"over {lease.job.longest_seconds:.0f} s, the share of the budget that a job of unknown price may take"
            )
            self._kill_job(slot, lease, "timeout", reason)
        elif now - lease.beat_seen > limits.hang_timeout_s:
            reason = f"no progress for compute.hang_timeout_s = {limits.hang_timeout_s:g} s"
            self._kill_job(slot, lease, "timeout", reason)

    def _accepted(self, lease: _Lease) -> Outcome | None:
        """The outcome of the leased attempt; None while there is none, or only one of another attempt."""
        outcome = lease.done[0].outcome if 0 in lease.done else None
        if outcome is None:
            outcome = read_model(lease.folder / "outcome.json", Outcome)
        if outcome is None or (outcome.trial, outcome.attempt) != (lease.job.trial, lease.job.attempt):
            return None
        return outcome

    def _kill_job(
        self, slot: _Slot, lease: _Lease, failure_class: FailureClass, reason: str, retry: bool = True
    ) -> None:
        """Ends a job with its workers; an outcome that was written just before counts."""
        self._drop_group(slot)
        outcome = self._accepted(lease)
        if outcome is None:
            failure = Failure(stage="start", failure_class=failure_class, reason=reason)
            outcome = self._outcome(lease.job, lease.folder, failure, self.now() - lease.started, lease.cold)
        self._finish(slot, lease, outcome, retry)

    def _outcome(self, job: Job, folder: Path, failure: Failure, seconds: float, cold: bool) -> Outcome:
        """Writes the outcome that no worker will write."""
        outcome = Outcome.of(job, failure, self.devices, seconds, cold=cold)
        with contextlib.suppress(OSError):  # on a full disk the outcome still reaches the study
            write_json(folder / "outcome.json", outcome)
        return outcome

    def _finish(self, slot: _Slot, lease: _Lease, outcome: Outcome, retry: bool = True) -> None:
        """Ends a lease and, where the failure and `retry` allow it, starts the next attempt in the same slot."""
        slot.lease = None
        if not isinstance(outcome.result, Failure):
            self._finished.append(Finished(lease.job, lease.folder, outcome))
            return
        failed = (*lease.failed_before, outcome.result.failure_class)
        again, folder = None, None
        # a worker that was asked to stop by others than this supervisor has saved its training
        ends = self._stopping or self.asked_to_stop()
        if retry and not ends and (failed[-1] == "interrupted" or may_retry(failed)):
            again = next_attempt(lease.job, outcome.result.failure_class)
            with contextlib.suppress(OSError):  # on a full disk the failure stands
                folder = self._prepare(again)
        self._finished.append(Finished(lease.job, lease.folder, outcome, retried=folder is not None))
        if again is not None and folder is not None:
            self._dispatch(slot, again, folder, failed)

    def _drop_group(self, slot: _Slot) -> None:
        group, slot.group = slot.group, None
        if group is not None:
            group.kill()
