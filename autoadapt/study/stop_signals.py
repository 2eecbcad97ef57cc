"""Ctrl-C and SIGTERM: the first asks the loop to end after its bookkeeping, a second Ctrl-C ends at once."""

import os
import signal
import threading
from types import FrameType, TracebackType

from autoadapt.errors import Exit

GRACE_SECONDS = {Exit.INTERRUPTED: 7.0, Exit.TERMINATED: 20.0}
"""How long trainings may take to save a checkpoint. A person wants the prompt back within 10 s; systems that send
SIGTERM kill 30 s later."""


class StopSignals:
    """While entered, `code` is the exit code a signal asked for, else None."""

    def __init__(self) -> None:
        self.code: Exit | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._asked)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def ask(self) -> None:
        """Does what SIGTERM does, for a request that comes in another way."""
        self.code = self.code or Exit.TERMINATED

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if self.code is not None and number == signal.SIGINT:
            os._exit(Exit.INTERRUPTED)  # workers end with this process
        self.code = Exit.INTERRUPTED if number == signal.SIGINT else Exit.TERMINATED
