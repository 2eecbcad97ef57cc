"""Limits of memory and of CPU time for what a template computes.

A sandbox keeps a template from escaping, not from exhausting: a few concatenations, loops or nested lists need more
memory and time than any machine has. Templates of a task are tried once in a process of their own before anything uses
them (`check_limited`). The chat template of a model folder is limited whenever it is used (`UseLimits`), in the process
that has the model.
"""

import contextlib
import json
import os
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from types import FrameType
from typing import ClassVar, TypeVar

from autoadapt.errors import UserError

SECONDS = 5
"""CPU time that a template may take."""
BYTES = 256_000_000
"""Memory that a template may take in addition to what its process has."""
TOO_SLOW = f"it takes more than {SECONDS} s of CPU time"
TOO_LARGE = f"it needs more than {BYTES // 1_000_000} MB of memory"


T = TypeVar("T")


class LimitError(Exception):
    """A template needs more than it may have; the message says of what."""


class _TimeIsUpError(BaseException):
    """The CPU time of a template has passed; code that catches every Exception does not catch it."""


def check_limited(checks: Mapping[str, Callable[[], object]]) -> None:
    """Runs checks, which change nothing, one after the other in a process of their own with little memory and time.

    Args:
        checks: where something may be wrong -> what raises an exception then.

    Raises:
        UserError: the first of them that fails, or needs too much, with its place and the reason.
    """
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # Python warns of forks beside other threads; this child runs no code that could wait for one of them
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _check_and_exit(writer, checks)
    os.close(writer)
    try:
        with open(reader, encoding="utf-8") as lines:
            said = [json.loads(line) for line in lines if line.endswith("\n")]
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    _, status = os.waitpid(child, 0)
    if status:
        place, reason = said[-1] if said else ("search space", None)
        timed_out = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
        raise UserError(f"{place}: {reason or f'prompt template: {TOO_SLOW if timed_out else TOO_LARGE}'}")


def _check_and_exit(writer: int, checks: Mapping[str, Callable[[], object]]) -> None:
    """The child: says which check it begins and why one fails. Never returns."""
    place, reason = "", None
    try:
        _limit("RLIMIT_AS", _allowed_bytes())
        _limit("RLIMIT_CPU", SECONDS)
        _limit("RLIMIT_CORE", 0)
        for place, check in checks.items():
            _say(writer, place, None)
            check()
    except UserError as error:
        reason = str(error)
    except MemoryError:
        reason = f"prompt template: {TOO_LARGE}"
    except BaseException as error:  # noqa: BLE001 - this child may not run on into its parent's code
        reason = f"prompt template: {type(error).__name__}: {error}"
    finally:
        if reason is not None:
            with contextlib.suppress(BaseException):
                _say(writer, place, reason)
        os._exit(1 if reason is not None else 0)


def _say(writer: int, place: str, reason: str | None) -> None:
    os.write(writer, f"{json.dumps([place, reason])}\n".encode())


class UseLimits:
    """Limits the memory and the CPU time of each use of a template, in this process.

    It works in the main thread alone, because both limits are those of the whole process, and where nobody else takes
    the signal of the timer.
    """

    _at_work: ClassVar[bool] = False

    def __init__(self) -> None:
        self._limits = sys.platform == "linux" and threading.current_thread() is threading.main_thread()
        if self._limits and signal.getsignal(signal.SIGPROF) is signal.SIG_DFL:
            signal.signal(signal.SIGPROF, self._time_is_up)
        self._limits = self._limits and signal.getsignal(signal.SIGPROF) == self._time_is_up
        self._thread = threading.get_ident()
        self._bytes = 0
        """Memory that this process may have meanwhile; 0: not known yet."""

    def run(self, work: Callable[[], T]) -> T:
        """What `work`, which changes nothing, returns.

        Raises:
            LimitError: it needs more memory or time.
        """
        if not self._limits or threading.get_ident() != self._thread:
            return work()
        try:
            with contextlib.suppress(MemoryError):  # this process may have grown since its memory was looked up
                return self._run(work, self._bytes or _allowed_bytes())
            return self._run(work, _allowed_bytes())
        except MemoryError as error:
            raise LimitError(TOO_LARGE) from error
        except _TimeIsUpError as error:
            raise LimitError(TOO_SLOW) from error

    def _run(self, work: Callable[[], T], allowed: int) -> T:
        self._bytes, before = allowed, _limit("RLIMIT_AS", allowed)
        UseLimits._at_work = True
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            return work()
        finally:
            UseLimits._at_work = False
            signal.setitimer(signal.ITIMER_PROF, 0)
            resource.setrlimit(resource.RLIMIT_AS, before)

    @classmethod
    def _time_is_up(cls, number: int, frame: FrameType | None) -> None:
        if cls._at_work:
            raise _TimeIsUpError


def _allowed_bytes() -> int:
    """What this process has in its address space, and `BYTES` more."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split(b" ", 1)[0]) * resource.getpagesize() + BYTES


def _limit(name: str, value: int) -> tuple[int, int]:
    """Lowers a limit of this process for a time; returns what held before."""
    number = getattr(resource, name)
    before = resource.getrlimit(number)
    lower = [limit for limit in (value, *before) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(number, (min(lower), before[1]))
    return before
