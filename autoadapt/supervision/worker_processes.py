"""The driver's side of a fork server: one process per executor, and the workers that it forks."""

import contextlib
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from autoadapt.domain.jobs import Devices
from autoadapt.worker.fork_server import (
    PACKET_BYTES,
    REPORT,
    ImportsDone,
    KillWorker,
    StartWorker,
    StopWorker,
    WorkerStarted,
)
from autoadapt.worker.place import Place, device_environment

LAUNCH = """\
import sys
package = sys.argv.pop(1)
sys.path.insert(0, package)
import autoadapt
sys.path.remove(package)
from autoadapt.worker.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
"""Imports the very package that the driver runs, wherever it lies; its folder does not stay importable."""
MARK = "AUTOADAPT_FORK_SERVER"
"""Environment variable of a fork server and of every process below it; its value is that server's alone."""
LOG_END_BYTES = 8192
LONGEST_LINE = 300
END_SECONDS = 10.0
"""How long workers may take to end after they were killed, before their fork server is killed with them."""


@dataclass(frozen=True)
class LogEnd:
    """What was appended to a log from some moment on."""

    path: Path
    begin: int = 0
    """Size of the log at that moment."""

    @classmethod
    def from_now(cls, path: Path) -> "LogEnd":
        """What will be appended to a log, which need not exist yet."""
        return cls(path, path.stat().st_size if path.exists() else 0)

    def last_line(self) -> str:
        """The last line that is not empty, without characters that steer a terminal; empty: nothing was printed."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(self.begin, self.path.stat().st_size - LOG_END_BYTES))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return "".join(c if c.isprintable() else " " for c in last)[:LONGEST_LINE]


@dataclass
class WorkerProcess:
    """A worker that was asked for; it may not be there yet."""

    number: int
    stdin: int
    """File descriptor; -1: closed."""
    stdout: int
    """File descriptor that never blocks; -1: closed."""
    pid: int | None = None
    """None: not forked yet."""
    ended: bool = False
    exit_code: int | None = None
    """Negative: the signal that ended it; None: it runs, or it ended with its fork server."""
    log: LogEnd | None = None
    """What it prints outside of jobs."""
    _unread: bytes = b""

    def write(self, line: str) -> None:
        """Sends a line; a worker that is not there yet reads it when it is, one that has ended never does."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.stdin, f"{line}\n".encode())

    def lines(self) -> list[str]:
        """Whole lines that the worker wrote since the last call; returns at once."""
        while self.stdout >= 0:
            try:
                part = os.read(self.stdout, PACKET_BYTES)
            except BlockingIOError:
                break
            if not part:
                os.close(self.stdout)
                self.stdout = -1
            self._unread += part
        *whole, self._unread = self._unread.split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def close(self) -> None:
        """Closes the pipes."""
        for descriptor in {self.stdin, self.stdout} - {-1}:
            os.close(descriptor)
        self.stdin = self.stdout = -1


@dataclass
class ForkServer:
    """A fork server and its workers.

    Args:
        folder: for ``fork-server.txt``, what it and its imports print.
        devices: of its workers; libraries read the number of threads while they are imported.
        preload: modules it imports before it forks.

    Raises:
        OSError: it cannot be started.
    """

    folder: Path
    devices: Devices
    preload: Sequence[str] = ()
    alive: bool = True
    """False: it ended, and its workers with it."""
    _imports_done: bool = False
    _workers: dict[int, WorkerProcess] = field(default_factory=dict)
    """By number, while they are not known to have ended."""
    _started: int = 0

    def __post_init__(self) -> None:
        """Starts the process; its imports go on after this has returned."""
        self._socket, other_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        arguments = ["--fork-server", str(other_end.fileno()), str(os.getpid()), *self.preload]
        self._mark = f"{os.getpid()}-{time.time_ns()}"
        environment = {**os.environ, **device_environment(self.devices), MARK: self._mark}
        if "PYTHONPATH" in environment:  # an empty entry stands for the current folder
            entries = environment["PYTHONPATH"].split(os.pathsep)
            environment["PYTHONPATH"] = os.pathsep.join(entry for entry in entries if entry)
        # otherwise some libraries' imports ask CUDA for devices, after which a forked process cannot use it
        environment.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
        self.log = LogEnd.from_now(self.folder / "fork-server.txt")
        with other_end, (self.folder / "fork-server.txt").open("ab") as log:
            self._process = subprocess.Popen(
                # -P: a file in the current folder is never imported
                [sys.executable, "-P", "-c", LAUNCH, str(Path(__file__).parents[2]), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                pass_fds=(other_end.fileno(),),
                start_new_session=True,
            )
        self._socket.setblocking(False)

    @property
    def pid(self) -> int:
        """The fork server's process."""
        return self._process.pid

    def start(self, place: Place, log: Path) -> WorkerProcess:
        """Asks for a worker; returns before it is there.

        Args:
            place: where it shall stand.
            log: for what it prints outside of jobs.

        Raises:
            OSError: the fork server has ended, or no file can be opened.
        """
        place = place.model_copy(update={"parent": self.pid})
        stdin, worker_stdin, stdout, worker_stdout = *reversed(os.pipe()), *os.pipe()
        os.set_blocking(stdout, False)
        worker = WorkerProcess(self._started, stdin, stdout, log=LogEnd.from_now(log))
        try:
            with log.open("ab") as file:
                request = StartWorker(worker=worker.number, place=place).model_dump_json().encode()
                socket.send_fds(self._socket, [request], [worker_stdin, worker_stdout, file.fileno()])
        except OSError:
            worker.close()
            raise
        finally:
            os.close(worker_stdin)
            os.close(worker_stdout)
        self._started += 1
        self._workers[worker.number] = worker
        return worker

    def poll(self) -> None:
        """Takes what the fork server reported; returns at once."""
        while self.alive:
            try:
                packet = self._socket.recv(PACKET_BYTES)
            except BlockingIOError:
                return
            except ConnectionError:
                packet = b""
            if not packet:
                self._lose()
                return
            report = REPORT.validate_json(packet)
            if isinstance(report, ImportsDone):
                self._imports_done = True
            elif isinstance(report, WorkerStarted):
                self._workers[report.worker].pid = report.pid
            else:
                worker = self._workers.pop(report.worker)
                worker.ended, worker.exit_code = True, report.exit_code

    def wait(self, workers: Iterable[WorkerProcess], seconds: float) -> None:
        """Blocks until one of the workers or the fork server has something to say, or `seconds` have passed."""
        descriptors = [w.stdout for w in workers if w.stdout >= 0] + ([self._socket.fileno()] if self.alive else [])
        poll = select.poll()
        for descriptor in descriptors:
            poll.register(descriptor, select.POLLIN)
        poll.poll(max(0.0, seconds) * 1000)

    def stop(self, workers: Sequence[WorkerProcess]) -> None:
        """Asks workers to save their training and to end; returns at once."""
        for worker in workers:
            if not worker.ended:
                with contextlib.suppress(OSError):  # a fork server that has ended is noticed by `poll`
                    self._socket.send(StopWorker(worker=worker.number).model_dump_json().encode())

    def kill(self, workers: Sequence[WorkerProcess]) -> None:
        """Ends workers with all that they started, waits until they are gone and closes their pipes.

        While the fork server is importing there are no workers; those that were asked for are not started then.
        """
        self.poll()
        for worker in workers:
            worker.close()
            if not worker.ended:
                with contextlib.suppress(OSError):  # the fork server's end is noticed below
                    self._socket.send(KillWorker(worker=worker.number).model_dump_json().encode())
        deadline = time.monotonic() + END_SECONDS
        while self.alive and self._imports_done and not all(worker.ended for worker in workers):
            if time.monotonic() > deadline:
                self._process.kill()
            self.wait((), 0.1)
            self.poll()

    def close(self) -> None:
        """Ends the fork server and all of its workers, and waits for it."""
        self.poll()
        if not self.alive:
            return
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)  # asks it to end its workers, wait for them and exit
        if not self._imports_done:
            self._process.kill()  # it would hear of it only after its imports, and has forked nothing
        self._lose()

    def _lose(self) -> None:
        """Waits for a fork server that has ended, or was asked to, and for its workers, which end with it."""
        self.alive = False
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode < 0:  # it was killed, and could not end what its workers had started
            _kill_marked(self._mark)
        for worker in self._workers.values():
            worker.ended = True
            if worker.pid is not None:
                _wait_until_gone(worker.pid)
        self._workers.clear()
        self._socket.close()


def _kill_marked(mark: str) -> None:
    """Kills every process whose environment has the mark, until there is none."""
    while marked := [p for p in psutil.process_iter() if _environment(p).get(MARK) == mark]:
        for process in marked:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(marked, END_SECONDS)


def _environment(process: psutil.Process) -> dict[str, str]:
    """Of a process at its start; empty where it has ended or belongs to somebody else."""
    try:
        return dict(process.environ())
    except psutil.Error:
        return {}


def _wait_until_gone(pid: int) -> None:
    """Waits for a process that the kernel is ending, so that its devices are free afterwards."""
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return
        if state == "Z":
            return
        time.sleep(0.01)
