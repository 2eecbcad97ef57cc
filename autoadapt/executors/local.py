"""Jobs on this machine: one warm worker group per slot, each rank a process in a process group of its own.

A slot is `devices_per_trial` GPUs, or that many CPU cores. Workers are forked from one process that has imported the
heavy libraries (`autoadapt.worker.fork_server`), so that a worker starts in a fraction of a second and shares their
memory with the others. All of them end when this process ends.
"""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from autoadapt.domain.executor import Executor, JobDone, Signal, WorkerGroup, WorkerLost
from autoadapt.domain.jobs import Devices, Job
from autoadapt.domain.outcome import Failure, Outcome
from autoadapt.domain.task import Compute
from autoadapt.errors import Exit, UserError
from autoadapt.files import read_whole
from autoadapt.supervision.worker_processes import ForkServer, LogEnd, WorkerProcess
from autoadapt.worker.hardware import cpu_name, gpu_names, gpu_numbers, usable_cores
from autoadapt.worker.place import Place
from autoadapt.worker.serving import JobReport, JobSent, log_name

MOST_CPU_SLOTS = 4
OUT_OF_MEMORY_IN_WORDS = ("MemoryError", "std::bad_alloc", "Cannot allocate memory")
"""The last words of a process that could not go on without memory."""


class LocalGroup(WorkerGroup):
    """The ranks of one slot.

    Args:
        server: forks them.
        ranks: by rank, as they were asked for.
    """

    def __init__(self, server: ForkServer, ranks: Sequence[WorkerProcess]) -> None:
        self.ranks, self.cold, self.processes = len(ranks), True, tuple(ranks)
        self._server = server
        self._folder: Path | None = None
        self._done: set[int] = set()
        """Ranks that have done their part of the job in `_folder`."""

    def send(self, job: Job, folder: Path) -> None:
        self.cold, self._folder, self._done = False, folder, set()
        for process in self.processes:
            process.write(JobSent(sent=time.monotonic(), folder=str(folder)).model_dump_json())

    def signals(self) -> list[Signal]:
        # exit codes first: what a worker wrote before it ended is in its pipe by the time its end is reported
        self._server.poll()
        signals: list[Signal] = []
        for rank, process in enumerate(self.processes):
            for line in process.lines():
                report = JobReport.model_validate_json(line)
                if Path(report.folder) == self._folder:
                    self._done.add(rank)
                signals.append(JobDone(rank, Path(report.folder), report.retire, report.outcome))
            if process.ended:
                signals.append(self._lost(rank, process))
        return signals

    def heartbeat(self, folder: Path) -> int:
        try:
            return (folder / "heartbeat").stat().st_mtime_ns
        except OSError:
            return 0

    def ask_to_stop(self) -> bool:
        if self.ranks > 1:  # they wait for each other, and DeepSpeed keeps no checkpoints
            return False
        self._server.stop(self.processes)
        return True

    def kill(self) -> None:
        self._server.kill(self.processes)

    @property
    def busy(self) -> bool:
        """Whether a rank has a job to do."""
        return self._folder is not None and len(self._done) < self.ranks

    def _lost(self, rank: int, process: WorkerProcess) -> WorkerLost:
        """Why a rank ended: what it wrote itself, or how its process ended."""
        outcome = read_whole(self._folder / f"outcome-{rank}.json", Outcome) if rank and self._folder else None
        if outcome is not None and isinstance(outcome.result, Failure):
            return WorkerLost(rank, outcome.result.failure_class, f"rank {rank}: {outcome.result.reason}")
        worker = f"the worker of rank {rank}" if rank else "the worker"
        if process.exit_code is None:
            ended = f"{worker} ended with its fork server (see workers/fork-server.txt)"
            return WorkerLost(rank, "crash", ended + _printed(self._server.log))
        if process.exit_code >= 0:
            ended = f"{worker} ended by exit code {process.exit_code}"
        else:
            name = _signal_name(-process.exit_code)
            hint = "; the system does this when memory runs out" if name == "SIGKILL" else ""
            ended = f"{worker} ended by {name}{hint}"
        job_log = LogEnd(self._folder / log_name(rank)) if self._folder else None
        printed = _printed(job_log) or _printed(process.log)
        out_of_memory = any(words in printed for words in OUT_OF_MEMORY_IN_WORDS)
        return WorkerLost(rank, "oom" if out_of_memory else "crash", ended + printed)


def _printed(log: LogEnd | None) -> str:
    line = log.last_line() if log is not None else ""
    return f"; the last line that it printed: {line}" if line else ""


class Local(Executor):
    """Processes on this machine."""

    def open(self, run: Path, compute: Compute, preload: Sequence[str] = ()) -> None:
        names = [] if compute.on_cpu else gpu_names()
        width, cores = compute.devices_per_trial, usable_cores()
        units = gpu_numbers(len(names)) if names else cores
        self.slots = slot_count(compute, len(names), len(units))
        # CPU ranks share cores where there are fewer cores than ranks
        each = max(1, len(units) // self.slots)
        count = width if names else each
        self._units = [[units[(i * each + k) % len(units)] for k in range(count)] for i in range(self.slots)]
        """GPU indices, or CPU cores, of each slot."""
        self.devices = Devices(
            kind=names[0] if names else cpu_name(),
            count=width,
            accelerator="cuda" if names else "cpu",
            threads=1 if names else max(1, each // width),
        )
        self._memory_bytes = None if compute.memory_mb is None else compute.memory_mb * 1_000_000
        self._folder, self._preload = run / "workers", tuple(preload)
        self._folder.mkdir(parents=True, exist_ok=True)
        for stale in self._folder.glob("meeting-*"):  # of a killed run, whose driver may have had the same number
            stale.unlink()
        self._groups: dict[int, LocalGroup] = {}
        self._count = 0
        self._server = ForkServer(self._folder, self.devices, self._preload)

    def start(self, slot: int) -> LocalGroup:
        self._server.poll()
        if not self._server.alive:
            self._server = ForkServer(self._folder, self.devices, self._preload)
        self._count += 1
        meeting = self._folder / f"meeting-{os.getpid()}-{slot}-{self._count}"
        ranks: list[WorkerProcess] = []
        try:
            for rank in range(self.devices.count):
                log = self._folder / f"slot-{slot}-rank-{rank}.txt"
                ranks.append(self._server.start(self._place(slot, rank, meeting), log))
        except OSError:
            self._server.kill(ranks)
            raise
        self._groups[slot] = LocalGroup(self._server, ranks)
        return self._groups[slot]

    def wait(self, until: float) -> None:
        # an idle worker that ended would end every wait at once, for nobody reads its pipe
        processes = [process for group in self._groups.values() if group.busy for process in group.processes]
        self._server.wait(processes, until - self.now())

    def close(self) -> None:
        self._groups.clear()
        self._server.close()

    def _place(self, slot: int, rank: int, meeting: Path) -> Place:
        units, cores = self._units[slot], None
        if self.devices.accelerator == "cpu":
            share = self.devices.threads
            cores = [units[(rank * share + k) % len(units)] for k in range(share)]
        return Place(
            devices=self.devices,
            memory_bytes=self._memory_bytes,
            rank=rank,
            world=self.devices.count,
            meeting_file=str(meeting),
            cores=cores,
            gpus=units if self.devices.accelerator == "cuda" else None,
        )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have none
        return f"signal {number}"


def slot_count(compute: Compute, gpus: int, units: int) -> int:
    """Groups side by side.

    Args:
        compute: what the task asks for.
        gpus: usable GPUs; 0: CPU slots.
        units: GPUs or CPU cores.

    Raises:
        UserError: this machine has too few GPUs.
    """
    width = compute.devices_per_trial
    if gpus and width > gpus:
        raise UserError(
            f"compute.devices_per_trial is {width}, but this machine has {gpus} GPU(s): lower it", Exit.ENVIRONMENT
        )
    possible = max(1, units // width)
    if compute.slots == "auto":
        return possible if gpus else min(possible, MOST_CPU_SLOTS)
    if gpus and compute.slots > possible:
        raise UserError(
            f"compute.slots is {compute.slots}, but {gpus} GPU(s) give {possible} slot(s) of {width}: lower it",
            Exit.ENVIRONMENT,
        )
    return compute.slots
