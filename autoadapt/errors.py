"""Errors a user can act on, and the exit codes of the command line.

A `UserError` carries its whole message: what is wrong, where, the nearest right name and what to do. It is printed
alone, without a traceback. Anything else that escapes is a bug (exit code 1).
"""

import difflib
from collections.abc import Iterable
from enum import IntEnum

from autoadapt.shown_text import fit_to_show


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    """Done."""
    BUG = 1
    """A bug in AutoAdapt; the message names a file that says where it happened and contains none of your data."""
    CONFIG = 2
    """A mistake in the task, in a search space or on the command line."""
    DATA = 3
    """The data cannot be used, or differ from those the study was begun with; or an exported option answers otherwise
    than the run did."""
    ENVIRONMENT = 4
    """The environment cannot do it: memory, disk, devices, a package that is missing."""
    NOTHING_FITS = 5
    """No option satisfies the constraints."""
    PARTIAL = 6
    """No option was measured in full, or the budget ended while options were being scored on test rows."""
    PROVIDER = 7
    """The hub or a provider failed."""
    STORAGE = 8
    """The files of a run are damaged, of another version, or in use by another search; or the database of the task
    does not answer, refuses, or holds another study under this name."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C; the same command resumes."""
    TERMINATED = 143
    """Stopped by SIGTERM; the same command resumes."""


class UserError(Exception):
    """A mistake or a lack outside AutoAdapt; the message alone says what to change.

    Args:
        message: one or a few lines: what, where, the nearest right name, what to do. Control characters and secrets in
            it are replaced, so that it may quote what a user, a file or a server has written.
        code: the exit code to end with.
    """

    def __init__(self, message: str, code: Exit = Exit.CONFIG) -> None:
        super().__init__(fit_to_show(message))
        self.code = code


class TooSlowError(TimeoutError):
    """A training of which too small a part fits into its time.

    Args:
        message: one line.
        whole_seconds: that the whole of its schedule would take.
    """

    def __init__(self, message: str, whole_seconds: float) -> None:
        super().__init__(message)
        self.whole_seconds = whole_seconds


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns ``did you mean 'x'? Known: a, b, x`` for a name that is not among the known ones."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    guess = f"did you mean '{near[0]}'? " if near else ""
    return f"{guess}Known: {', '.join(known) or 'none'}."
