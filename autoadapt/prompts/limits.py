"""Limits of memory and of CPU time for what a template computes.

A sandbox keeps a template from escaping, not from exhausting: a few concatenations, loops or nested lists need more
memory and time than any machine has. Templates of a task are tried once in a process of their own before anything uses
them (`check_limited`). The chat template of a model folder is limited whenever it is used (`limited`), in the process
that has the model.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

from autoadapt.errors import UserError

SECONDS = 5
"""CPU time that a template may take."""
BYTES = 256_000_000
"""Memory that a template may take in addition to what its process has."""
TOO_SLOW = f"it takes more than {SECONDS} s of CPU time"
TOO_LARGE = f"it needs more than {BYTES // 1_000_000} MB of memory"


class LimitError(Exception):
    """A template needs more than it may have; the message says of what."""


class _TimeIsUp(BaseException):
    """The CPU time of a template has passed."""


def check_limited(checks: Mapping[str, Callable[[], object]]) -> None:
    """Runs checks, which change nothing, one after the other in a process of their own with little memory and time.

    Args:
        checks: where something may be wrong -> what raises an exception then.

    Raises:
        UserError: the first of them that fails, or needs too much, with its place and the reason.
    """
    if not hasattr(os, "fork"):
        for check in checks.values():
            check()
        return
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
        _limit_memory(BYTES)
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


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Limits the memory and the CPU time of what is entered, in the main thread of a process on Linux.

    In other threads nothing is limited, because both limits are those of the whole process.

    Raises:
        LimitError: it needs more.
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGPROF, _time_is_up)
    limits = _limit_memory(BYTES)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            _set_memory(limits)
            signal.signal(signal.SIGPROF, before)
    except MemoryError as error:
        raise LimitError(TOO_LARGE) from error
    except _TimeIsUp as error:
        raise LimitError(TOO_SLOW) from error


def _time_is_up(number: int, frame: FrameType | None) -> None:
    raise _TimeIsUp


def _limit_memory(more: int) -> tuple[int, int] | None:
    """Lets this process have so many bytes more than it has; returns the limits of before, None where none is known."""
    import resource

    try:
        descriptor = os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return None
    try:
        pages = int(os.read(descriptor, 64).split(b" ", 1)[0])
    finally:
        os.close(descriptor)
    before = resource.getrlimit(resource.RLIMIT_AS)
    allowed = pages * resource.getpagesize() + more
    soft = min(limit for limit in (allowed, *before) if limit != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_AS, (soft, before[1]))
    return before


def _set_memory(limits: tuple[int, int] | None) -> None:
    import resource

    if limits is not None:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _limit(name: str, value: int) -> None:
    import resource

    _, hard = resource.getrlimit(getattr(resource, name))
    with contextlib.suppress(ValueError, OSError):  # a lower limit than this one holds already
        resource.setrlimit(getattr(resource, name), (value, hard))
