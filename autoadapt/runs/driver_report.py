"""What a running search tells whoever reads its run folder, from any machine that shares it, and the request to stop.

status.json  where the search stands, written by its driver every few seconds, and how it was begun, to resume it
stop.json    a request of another process to stop; the driver deletes it when it stops, and an old one when it begins
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from autoadapt.domain.events import Event, Status
from autoadapt.domain.strict import StrictModel
from autoadapt.errors import Exit, UserError
from autoadapt.files import read_whole, write_json

STATUS_FILE, STOP_FILE = "status.json", "stop.json"
WRITE_SECONDS = 2.0
"""Between two reports of a driver."""
SILENT_SECONDS = 30.0
"""A driver on another machine that has not reported for so long is taken to have ended; clocks may differ by less."""
POLL_SECONDS = 0.5
"""Between two looks of whoever waits for a driver."""


class Begun(StrictModel):
    """How a search was begun: what resumes it."""

    task: str
    """Absolute path of the task file."""
    overrides: list[str]
    runs: str
    """Absolute path of the folder of all studies."""
    warm_start: list[str]
    trackers: list[str]


class DriverReport(StrictModel):
    """What a driver has told last."""

    host: str
    pid: int
    process_began: float
    """Seconds since the epoch; with the number it names one process of a machine."""
    written: float
    """Seconds since the epoch."""
    ended: bool
    exit_code: int | None = None
    """Of a search that has ended by itself; None: it goes on, or an error has ended it."""
    message: str
    """The last event that says something."""
    begun: Begun | None
    """None: it was begun from Python, with a task that is no file."""
    status: Status

    def seconds_ago(self) -> float:
        """Since it was written."""
        return max(0.0, time.time() - self.written)

    def runs(self) -> bool:
        """Whether the driver is still there: its process, or on another machine a recent report."""
        if self.ended:
            return False
        if self.host != socket.gethostname():
            return self.seconds_ago() < SILENT_SECONDS
        try:
            return bool(abs(psutil.Process(self.pid).create_time() - self.process_began) < 1.0)
        except psutil.Error:
            return False


class StopAsked(StrictModel):
    """A request to stop."""

    host: str
    """Of whoever asks."""
    written: float


class Reporter:
    """Passes the events of a search on, reports where it stands, and looks for requests to stop.

    Args:
        root: run folder.
        begun: how the search was begun.
        on_event: given every event.
    """

    def __init__(self, root: Path, begun: Begun | None, on_event: Callable[[Event], None]) -> None:
        self._root, self._begun, self._on_event = root, begun, on_event
        self._stop: Callable[[], None] | None = None
        self._last: Event | None = None
        self._message, self._written, self._asked = "", 0.0, False

    def begin(self, stop: Callable[[], None]) -> None:
        """The run folder belongs to this search from now on: an old request to stop is dropped.

        Args:
            stop: called when another process asks this search to stop.
        """
        (self._root / STOP_FILE).unlink(missing_ok=True)
        self._stop = stop

    def __call__(self, event: Event) -> None:
        self._on_event(event)
        self._last = event
        if event.kind != "progress" and event.message:
            self._message = event.message
        self.look()

    def look(self) -> None:
        """Looks for a request to stop, and reports again where that is due.

        Called with every event, and while a driver waits for its database, when there are none.
        """
        if self._stop is None or self._last is None:
            return
        if not self._asked and (asked := read_stop(self._root)) is not None:
            self._asked = True
            self._on_event(Event("note", f"asked to stop from {asked.host}", self._last.status))
            (self._root / STOP_FILE).unlink(missing_ok=True)
            self._stop()
        if time.monotonic() - self._written >= WRITE_SECONDS:
            self._write(self._last.status)

    def end(self, code: Exit | None) -> None:
        """The last report.

        Args:
            code: exit code of the search; None: an error has ended it.
        """
        if self._stop is not None and self._last is not None:
            self._write(self._last.status, True, code)

    def _write(self, status: Status, ended: bool = False, code: Exit | None = None) -> None:
        self._written = time.monotonic()
        report = DriverReport(
            host=socket.gethostname(),
            pid=os.getpid(),
            process_began=psutil.Process().create_time(),
            written=time.time(),
            ended=ended,
            exit_code=None if code is None else int(code),
            message=self._message,
            begun=self._begun,
            status=status,
        )
        with contextlib.suppress(OSError):  # on a full disk the next report tries again
            write_json(self._root / STATUS_FILE, report)


def read_report(root: Path) -> DriverReport:
    """What the driver of a run folder has told last.

    Raises:
        UserError: there is no such folder, or no report in it.
    """
    check_run_folder(root)
    report = read_whole(root / STATUS_FILE, DriverReport)
    if report is None:
        raise _not_of_a_search(root, f"has no whole {STATUS_FILE}")
    return report


def check_run_folder(root: Path) -> None:
    """Refuses what is no run folder.

    Raises:
        UserError: it holds no trials.
    """
    if not (root / "trials").is_dir():
        raise _not_of_a_search(root, "is no run folder")


def _not_of_a_search(root: Path, what: str) -> UserError:
    return UserError(f"{root}: {what}; name the folder of a search, such as runs/NAME", Exit.STORAGE)


def ask_to_stop(root: Path) -> None:
    """Leaves a request to stop, which the driver finds within a second or so.

    Raises:
        OSError: the folder cannot be written.
    """
    write_json(root / STOP_FILE, StopAsked(host=socket.gethostname(), written=time.time()))


def read_stop(root: Path) -> StopAsked | None:
    """The request to stop; None: there is none."""
    return read_whole(root / STOP_FILE, StopAsked)
