"""The command ``autoadapt``, also ``python -m autoadapt``: a Ctrl-C ends it from the first moment on."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

INTERRUPTED = 130
"""`autoadapt.errors.Exit.INTERRUPTED`, before anything is imported."""
SOON = 0.01
"""Seconds: long enough for the interpreter to leave the place that has dropped an interrupt."""


def main() -> None:
    """Runs the command line and exits the process."""
    with interrupts_heard():
        try:
            from autoadapt.cli.main import main as run

            run()
        except KeyboardInterrupt:  # while the command line was imported
            sys.exit(INTERRUPTED)


@contextlib.contextmanager
def interrupts_heard() -> Iterator[None]:
    """While entered, a Ctrl-C that comes while Python frees an object is raised again a moment later.

    In a finalizer or in the callback of a weak reference, of which imports have many, Python reports an exception and
    drops it.
    """
    before = sys.unraisablehook

    def hook(dropped: Any) -> None:
        if dropped.exc_type is KeyboardInterrupt:
            # a signal of the system ends a wait; `_thread.interrupt_main` would be heard after it
            threading.Timer(SOON, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            before(dropped)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


if __name__ == "__main__":
    main()
