"""Trials on this machine: one warm worker group per slot, each rank a process in a process group of its own.

A slot is `devices_per_trial` GPUs, or that many CPU cores. A worker is started when its slot is first needed and kept,
because imports and model loading cost more than a prompt trial. It is killed with its whole process group when it is
silent or over time, and replaced when it dies or asks to be. Ranks end when this process ends (PR_SET_PDEATHSIG).
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from autoadapt.domain.outcome import Failure, FailureClass, Outcome
from autoadapt.domain.plugins import Executor, Finished
from autoadapt.domain.task import Compute
from autoadapt.domain.trial import Devices, Step
from autoadapt.errors import Exit, UserError
from autoadapt.files import read_model, write_json
from autoadapt.worker.hardware import cpu_name, gpu_names, gpu_numbers, usable_cores
from autoadapt.worker.place import ENVIRONMENT, Place

MOST_CPU_SLOTS = 4
PARTNER_SECONDS = 30.0
"""How long the other ranks of a group may take to finish after rank 0 has."""


@dataclass
class _Slot:
    number: int
    units: list[int]
    """GPU indices, or CPU cores."""
    ranks: list[subprocess.Popen[bytes]] = field(default_factory=list)
    generation: int = 0
    step: Step | None = None
    folder: Path | None = None
    started: float = 0.0
    beat: tuple[int, float] = (0, 0.0)
    """Last change of the heartbeat file, and when it was seen, by the monotonic clock."""
    said: dict[int, str] = field(default_factory=dict)
    """Rank -> done or retire, for the running step."""
    leader_done: float | None = None
    cold: bool = True


class Local(Executor):
    """Processes on this machine."""

    def start(self, run: Path, compute: Compute) -> None:
        names = [] if compute.on_cpu else gpu_names()
        width = compute.devices_per_trial
        cores = usable_cores()
        units = gpu_numbers(len(names)) if names else cores
        if names and width > len(names):
            raise UserError(
                f"compute.devices_per_trial is {width}, but this machine has {len(names)} GPU(s): lower it",
                Exit.ENVIRONMENT,
            )
        possible = max(1, len(units) // width)
        slots = compute.slots if compute.slots != "auto" else possible if names else min(possible, MOST_CPU_SLOTS)
        if names and slots > possible:
            raise UserError(
                f"compute.slots is {slots}, but {len(names)} GPU(s) give {possible} slot(s) of {width}: lower it",
                Exit.ENVIRONMENT,
            )
        # CPU ranks share cores where there are fewer cores than ranks
        each = max(1, len(units) // slots)
        self._slots = [
            _Slot(i, [units[(i * each + k) % len(units)] for k in range(width if names else each)])
            for i in range(slots)
        ]
        threads = 1 if names else max(1, each // width)
        self.slots = slots
        self.devices = Devices(
            kind=names[0] if names else cpu_name(),
            count=width,
            accelerator="cuda" if names else "cpu",
            threads=threads,
        )
        self._run, self._compute = run, compute
        self._lines: queue.Queue[tuple[int, int, int, str]] = queue.Queue()
        self._ended: list[Finished] = []
        (run / "workers").mkdir(parents=True, exist_ok=True)

    @property
    def free(self) -> int:
        return sum(slot.step is None for slot in self._slots)

    def submit(self, step: Step, folder: Path) -> None:
        # a slot with a live worker first: it is warm
        slot = min((s for s in self._slots if s.step is None), key=lambda s: (not s.ranks, s.number))
        slot.cold = not slot.ranks
        if not slot.ranks:
            self._spawn(slot)
        now = time.monotonic()
        slot.step, slot.folder, slot.started, slot.beat = step, folder, now, (0, now)
        slot.said, slot.leader_done = {}, None
        for process in slot.ranks:
            with contextlib.suppress(BrokenPipeError):  # a rank that died is found by next_finished
                stdin = process.stdin
                assert stdin is not None
                stdin.write(f"{folder}\n".encode())
                stdin.flush()

    def next_finished(self, timeout: float) -> Finished | None:
        deadline = time.monotonic() + timeout
        while True:
            self._look()
            if self._ended:
                return self._ended.pop(0)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            with contextlib.suppress(queue.Empty):
                self._hear(*self._lines.get(timeout=min(left, 0.1)))

    def running_seconds(self) -> dict[int, float]:
        now = time.monotonic()
        return {s.step.trial: (now - s.started) * self.devices.count for s in self._slots if s.step is not None}

    def kill_running(self, reason: str) -> None:
        for slot in self._slots:
            if slot.step is not None:
                self._end(slot, "interrupted", reason)

    def close(self) -> None:
        for slot in self._slots:
            self._kill(slot)

    def _spawn(self, slot: _Slot) -> None:
        slot.generation += 1
        world = self.devices.count
        meeting = self._run / "workers" / f"meeting-{os.getpid()}-{slot.number}-{slot.generation}"
        for rank in range(world):
            environment = dict(os.environ)
            if self.devices.accelerator == "cuda":
                environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, slot.units))
            cores = None
            if self.devices.accelerator == "cpu":
                share = self.devices.threads
                cores = [slot.units[(rank * share + k) % len(slot.units)] for k in range(share)]
            place = Place(
                devices=self.devices,
                rank=rank,
                world=world,
                meeting_file=str(meeting),
                cores=cores,
                parent=os.getpid(),
            )
            environment[ENVIRONMENT] = place.model_dump_json()
            with (self._run / "workers" / f"slot-{slot.number}-rank-{rank}.txt").open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "autoadapt.worker", "--serve"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment,
                    start_new_session=True,
                )
            slot.ranks.append(process)
            assert process.stdout is not None
            reader = threading.Thread(
                target=self._read, args=(process.stdout, slot.number, slot.generation, rank), daemon=True
            )
            reader.start()

    def _read(self, pipe: IO[bytes], slot: int, generation: int, rank: int) -> None:
        for line in pipe:
            self._lines.put((slot, generation, rank, line.decode(errors="replace").strip()))
        pipe.close()

    def _hear(self, number: int, generation: int, rank: int, line: str) -> None:
        slot = self._slots[number]
        word, _, folder = line.partition(" ")
        if generation != slot.generation or slot.folder is None or folder != str(slot.folder):
            return  # a late word of a worker that was replaced
        slot.said[rank] = word
        if rank == 0:
            slot.leader_done = time.monotonic()

    def _look(self) -> None:
        """Finds steps that ended, ranks that died, and workers that are over time or silent."""
        while not self._lines.empty():
            self._hear(*self._lines.get_nowait())
        now = time.monotonic()
        for slot in self._slots:
            if slot.step is not None:
                self._look_at(slot, now)

    def _look_at(self, slot: _Slot, now: float) -> None:
        assert slot.step is not None
        assert slot.folder is not None
        if slot.leader_done is not None:
            outcome = read_model(slot.folder / "outcome.json", Outcome)
            failed = outcome is None or outcome.failure is not None
            everyone = len(slot.said) == len(slot.ranks)
            if everyone or failed or now - slot.leader_done > PARTNER_SECONDS:
                replace = not everyone or "retire" in slot.said.values()
                self._finish(slot, outcome, replace)
            return
        # a rank that is still importing has not bound its life to ours: only exit codes count
        dead = [(r, p.returncode) for r, p in enumerate(slot.ranks) if p.poll() is not None and r not in slot.said]
        if dead:
            self._end(slot, *self._cause_of_death(slot, *dead[0]))
            return
        self._watch_time(slot, now)

    def _cause_of_death(self, slot: _Slot, rank: int, code: int) -> tuple[FailureClass, str]:
        assert slot.folder is not None
        told = read_model(slot.folder / f"outcome-{rank}.json", Outcome) if rank else None
        if told is not None and told.failure is not None:
            return told.failure.kind, f"rank {rank}: {told.failure.reason}"
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        hint = "; the system ends processes so when memory runs out" if code == -signal.SIGKILL else ""
        return "crash", f"the worker{f' of rank {rank}' if rank else ''} ended by {name}{hint}"

    def _watch_time(self, slot: _Slot, now: float) -> None:
        assert slot.folder is not None
        try:
            changed = (slot.folder / "heartbeat").stat().st_mtime_ns
        except FileNotFoundError:
            changed = 0
        if changed != slot.beat[0]:
            slot.beat = (changed, now)
        if now - slot.started > self._compute.trial_timeout_s:
            self._end(slot, "timeout", f"over compute.trial_timeout_s = {self._compute.trial_timeout_s:g} s")
        elif now - slot.beat[1] > self._compute.hang_timeout_s:
            self._end(slot, "timeout", f"no progress for compute.hang_timeout_s = {self._compute.hang_timeout_s:g} s")

    def _end(self, slot: _Slot, kind: FailureClass, reason: str) -> None:
        """Kills a slot's group and writes its step's outcome, unless the step had just been finished."""
        self._kill(slot)
        assert slot.folder is not None
        outcome = read_model(slot.folder / "outcome.json", Outcome)
        if outcome is None:
            assert slot.step is not None
            outcome = Outcome(
                trial=slot.step.trial,
                rung=slot.step.rung,
                attempt=slot.step.attempt,
                failure=Failure(stage="start", kind=kind, reason=reason),
                devices=self.devices,
                seconds=time.monotonic() - slot.started,
                cold=slot.cold,
            )
            with contextlib.suppress(OSError):  # a full disk: the outcome still goes to the study
                write_json(slot.folder / "outcome.json", outcome)
        self._finish(slot, outcome, replace=False)

    def _finish(self, slot: _Slot, outcome: Outcome | None, replace: bool) -> None:
        assert slot.step is not None
        assert slot.folder is not None
        if outcome is None:  # damaged: set aside by read_model, so it counts as not done
            slot.leader_done = None
            self._end(slot, "crash", "the worker's outcome.json is missing or damaged")
            return
        self._ended.append(Finished(slot.step, slot.folder, outcome))
        slot.step = slot.folder = None
        if replace:
            self._kill(slot)

    def _kill(self, slot: _Slot) -> None:
        """Ends every rank with its process group and waits for it."""
        for process in slot.ranks:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in slot.ranks:
            process.wait()
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
        slot.ranks = []
