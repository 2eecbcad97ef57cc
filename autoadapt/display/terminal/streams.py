"""Standard streams of the command line: texts in them are inert, and a full disk or a reader that left is noticed."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from autoadapt.shown_text import printable


class OutputLostError(Exception):
    """Standard output takes nothing more; `reader_left` where it was a pipe that its reader has closed.

    It is no OSError, so that no library takes it for a fault of its own files and ends the process.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written ({error.strerror or error})")
        self.reader_left = error.errno == errno.EPIPE


class _Stream:
    """A text stream whose control characters are shown as ?.

    Args:
        stream: to which everything goes.
        required: whether losing it ends the command; else what cannot be written is dropped.
        inert: False for what rich has drawn: its colours are control characters, the texts in them are inert already.
    """

    def __init__(self, stream: TextIO, required: bool, inert: bool = True) -> None:
        self._stream, self._required, self._inert = stream, required, inert

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def drawn(self) -> "_Stream":
        """The same stream for what rich has drawn."""
        return _Stream(self._stream, self._required, inert=False)

    def write(self, text: str) -> int:
        """Writes a text; see `OutputLostError`."""
        with self._watched():
            self._stream.write(printable(text) if self._inert else text)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Writes several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Passes on what is kept."""
        with self._watched():
            self._stream.flush()

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _silence(self._stream)  # else the interpreter tries again at its end, and fails with another exit code
            if self._required:
                raise OutputLostError(error) from error


def _silence(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


@contextlib.contextmanager
def inert_streams() -> Iterator[None]:
    """While entered, texts that are printed cannot steer the terminal.

    A standard stream that the process was started without is opened on the null device first, because otherwise the
    first file that is opened, such as a database, would get its number and whatever is printed.

    Raises:
        OutputLostError: when something is printed, or at the end: standard output is full or closed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
    before = sys.stdout, sys.stderr, sys.stdin
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 - as long as the process
    output = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    errors = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    sys.stdout = cast(TextIO, _Stream(output, required=True))
    sys.stderr = cast(TextIO, _Stream(errors, required=False))
    for stream in (output, errors):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # whatever the terminal's encoding lacks
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdout, sys.stderr, sys.stdin = before


def drawn(stream: TextIO) -> TextIO:
    """A standard stream as rich needs it, which draws colours by control characters."""
    return cast(TextIO, getattr(stream, "drawn", stream))
