"""A process that imports heavy libraries once and then forks workers, each of which has them from its first moment.

The driver and this process talk over a Unix socket, one JSON object per packet. The driver sends `StartWorker`, with
the worker's stdin, stdout and stderr as file descriptors, `StopWorker` and `KillWorker`; this process answers with
`ImportsDone`, `WorkerStarted` and `WorkerEnded`. It ends, with every worker and what these have started, when the
driver ends or closes the socket.

What a worker has started cannot outlive it, not in a session of its own either: a worker is the parent of what its
children leave behind, and this process of what a worker leaves behind.

It only imports: a thread pool or a CUDA context that existed before a fork could not be used after it.
"""

import array
import contextlib
import functools
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, Literal, NoReturn

import psutil
from pydantic import Field, TypeAdapter

from autoadapt.domain.strict import StrictModel
from autoadapt.worker.place import Place, adopt_orphans, end_with_parent

PACKET_BYTES = 65536
STANDARD_STREAMS = 3


class StartWorker(StrictModel):
    """Driver: fork a worker; three file descriptors come with it."""

    kind: Literal["start"] = "start"
    worker: int
    """A number by which driver and fork server know this worker."""
    place: Place


class StopWorker(StrictModel):
    """Driver: ask a worker to save its training and to end, or do not start it if it has not been started yet."""

    kind: Literal["stop"] = "stop"
    worker: int


class KillWorker(StrictModel):
    """Driver: end a worker with its process group, or do not start it if it has not been started yet."""

    kind: Literal["kill"] = "kill"
    worker: int


class ImportsDone(StrictModel):
    """Fork server: from now on requests are answered at once."""

    kind: Literal["imports_done"] = "imports_done"


class WorkerStarted(StrictModel):
    """Fork server: the worker is there."""

    kind: Literal["started"] = "started"
    worker: int
    pid: int


class WorkerEnded(StrictModel):
    """Fork server: the worker has ended, all that it started too, and its process was waited for."""

    kind: Literal["ended"] = "ended"
    worker: int
    exit_code: int
    """Negative: the signal that ended it."""


Request = Annotated[StartWorker | StopWorker | KillWorker, Field(discriminator="kind")]
REQUEST: TypeAdapter[StartWorker | StopWorker | KillWorker] = TypeAdapter(Request)
Report = Annotated[ImportsDone | WorkerStarted | WorkerEnded, Field(discriminator="kind")]
REPORT: TypeAdapter[ImportsDone | WorkerStarted | WorkerEnded] = TypeAdapter(Report)


def run_fork_server(connection: int, parent: int, preload: Sequence[str]) -> None:
    """Imports modules, then forks workers until the driver closes the connection.

    Args:
        connection: file descriptor of the socket that leads to the driver.
        parent: the driver's process.
        preload: modules to import; what cannot be imported is reported on stderr, and by the worker that needs it.
    """
    end_with_parent(parent)
    with socket.socket(fileno=connection) as driver:
        for name in ("autoadapt.worker.run", "autoadapt.worker.workshop", "autoadapt.worker.serving", *preload):
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001 - any error of a library; the job that needs it will fail and say so
                traceback.print_exc()
        # objects that no collection visits stay on memory pages that all workers share
        gc.collect()
        gc.freeze()
        # what was printed so far belongs to this process's file, not to the logs of workers
        sys.stdout.flush()
        sys.stderr.flush()
        _ForkServer(driver).serve(parent)


class _ForkServer:
    """Workers by the driver's number, and the processes that they are."""

    def __init__(self, driver: socket.socket) -> None:
        self._driver = driver
        self._pids: dict[int, int] = {}
        """Worker -> process, while it has not been waited for."""
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._asked_to_end = False

    def serve(self, parent: int) -> None:
        """Forks, kills and waits for workers until the driver ends or closes its end.

        Args:
            parent: the driver's process.
        """
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGTERM, functools.partial(self._end, parent))
        signal.set_wakeup_fd(self._wake_writer)
        # from now on a signal that can be caught: only this process can end what its workers have started
        end_with_parent(parent, signal.SIGTERM)
        adopt_orphans()
        with selectors.DefaultSelector() as selector:
            selector.register(self._driver, selectors.EVENT_READ)
            selector.register(self._wake_reader, selectors.EVENT_READ)
            self._report(ImportsDone())
            driver_is_there = True
            while driver_is_there and not self._asked_to_end:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._wake_reader in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_reader, 4096)
                self._report_ended()
                if self._driver in ready:
                    driver_is_there = self._answer(selector)
        for worker in list(self._pids):
            self._kill(worker)
        for pid in self._pids.values():
            os.waitpid(pid, 0)
        self._pids.clear()
        self._end_orphans()

    def _end(self, parent: int, number: int, frame: FrameType | None) -> None:
        # a system that shuts a service down signals all of its processes; while the driver lives, it says what to do
        self._asked_to_end = os.getppid() != parent

    def _answer(self, selector: selectors.BaseSelector) -> bool:
        """Does what all packets that have arrived ask; False when the driver has closed its end."""
        starts: dict[int, tuple[Place, list[int]]] = {}
        driver_is_there = True
        while driver_is_there:
            try:
                packet, descriptors = _receive(self._driver)
            except BlockingIOError:
                break
            if not packet:
                driver_is_there = False
                continue
            request = REQUEST.validate_json(packet)
            if isinstance(request, StartWorker):
                starts[request.worker] = request.place, descriptors
            elif request.worker in starts:  # asked for and given up while this process was importing
                _close(starts.pop(request.worker)[1])
                self._report(WorkerEnded(worker=request.worker, exit_code=-signal.SIGKILL))
            elif isinstance(request, StopWorker):
                self._signal(request.worker, signal.SIGTERM)
            else:
                self._kill(request.worker)
        for worker, (place, descriptors) in starts.items():
            if driver_is_there:
                self._fork(selector, worker, place, descriptors)
            _close(descriptors)
        return driver_is_there

    def _fork(self, selector: selectors.BaseSelector, worker: int, place: Place, descriptors: Sequence[int]) -> None:
        # a request that comes before the child has left this process's handler behind would be lost
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            pid = os.fork()
            if pid == 0:
                selector.close()
                self._become_worker(place, descriptors)
        except OSError:  # too many processes, or no memory: the other workers go on
            traceback.print_exc()
            self._report(WorkerEnded(worker=worker, exit_code=os.EX_OSERR))
            return
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        self._pids[worker] = pid
        self._report(WorkerStarted(worker=worker, pid=pid))

    def _become_worker(self, place: Place, descriptors: Sequence[int]) -> NoReturn:
        """The forked child: leaves everything of the fork server behind and serves jobs. Never returns."""
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            for stream, descriptor in enumerate(descriptors):
                os.dup2(descriptor, stream)
            for descriptor in (*descriptors, self._wake_reader, self._wake_writer, self._driver.detach()):
                os.close(descriptor)
            place.settle()
            adopt_orphans()
            from autoadapt.worker.serving import serve

            serve(place)
            code = 0
        except BaseException:  # noqa: BLE001 - nothing may run on into the fork server's own frames
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _signal(self, worker: int, number: int) -> None:
        if worker in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pids[worker], number)

    def _kill(self, worker: int) -> None:
        if worker in self._pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # before its setsid it has no group
                os.killpg(self._pids[worker], signal.SIGKILL)
            self._signal(worker, signal.SIGKILL)

    def _end_orphans(self) -> None:
        """Ends what workers that have ended left behind; a worker that lives is the parent of all that it started."""
        while orphans := [c for c in psutil.Process().children() if c.pid not in self._pids.values()]:
            for orphan in orphans:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(orphan.pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(orphan.pid, 0)

    def _report_ended(self) -> None:
        """Waits for every worker that has ended, and ends what it left behind."""
        for worker, pid in list(self._pids.items()):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            self._kill(worker)  # until it is waited for, its number cannot belong to another process
            _, status = os.waitpid(pid, 0)
            del self._pids[worker]
            self._end_orphans()
            self._report(WorkerEnded(worker=worker, exit_code=os.waitstatus_to_exitcode(status)))

    def _report(self, report: ImportsDone | WorkerStarted | WorkerEnded) -> None:
        with contextlib.suppress(ConnectionError):  # the driver's end is noticed by the next packet
            self._driver.send(report.model_dump_json().encode())


def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    """The next packet with its file descriptors; an empty packet: the other end is closed.

    Raises:
        BlockingIOError: no packet has arrived.
    """
    # socket.recv_fds of Python 3.11 ignores its flags, and would wait
    room = socket.CMSG_SPACE(STANDARD_STREAMS * array.array("i").itemsize)
    try:
        packet, ancillary, _, _ = connection.recvmsg(PACKET_BYTES, room, socket.MSG_DONTWAIT)
    except ConnectionError:
        return b"", []
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    return packet, descriptors.tolist()


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
