"""Errors a user can act on, and the exit codes of the command line.

A `UserError` carries its whole message: what is wrong, where, the nearest right name and what to do. It is printed
alone, without a traceback. Anything else that escapes is a bug (exit code 1).
"""

import difflib
from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    BUG = 1
    CONFIG = 2
    DATA = 3
    ENVIRONMENT = 4
    NOTHING_FITS = 5
    PARTIAL = 6
    PROVIDER = 7
    STORAGE = 8
    INTERRUPTED = 130
    TERMINATED = 143


class UserError(Exception):
    """A mistake or a lack outside AutoAdapt; the message alone says what to change.

    Args:
        message: one or a few lines: what, where, the nearest right name, what to do.
        code: the exit code to end with.
    """

    def __init__(self, message: str, code: Exit = Exit.CONFIG) -> None:
        super().__init__(message)
        self.code = code


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns ``did you mean 'x'? Known: a, b, x`` for a name that is not among the known ones."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    guess = f"did you mean '{near[0]}'? " if near else ""
    return f"{guess}Known: {', '.join(known) or 'none'}."
