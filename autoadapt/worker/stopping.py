"""A request to stop that reaches a worker as SIGTERM, from its driver or from the system."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Literal


class StopRequest:
    """Whether this process was asked to stop, and what follows from it at the moment.

    A process without a job ends. A job is interrupted where it stands, except while it trains: a training asks after
    every step, and saves its state before it ends.
    """

    def __init__(self) -> None:
        self.asked = False
        self._effect: Literal["exit", "interrupt", "wait"] = "exit"

    def listen(self) -> None:
        """Takes SIGTERM from now on; called in the main thread."""
        signal.signal(signal.SIGTERM, self._ask)

    @contextlib.contextmanager
    def held_back(self) -> Iterator[None]:
        """While entered, a request ends the process no more; it is seen by `asked`."""
        self._effect = "wait"
        try:
            yield
        finally:
            self._effect = "exit"

    @contextlib.contextmanager
    def interrupting(self) -> Iterator[None]:
        """While entered, a request raises KeyboardInterrupt, at most once; used inside of `held_back`."""
        self._effect = "interrupt"
        try:
            yield
        finally:
            self._effect = "wait"

    def training_should_end(self) -> bool:
        """Whether a training should save its state and end; from now on it alone decides when, until `interrupt`."""
        self._effect = "wait"
        return self.asked

    def interrupt(self) -> None:
        """The training is over: a request interrupts the job again, one that has waited does so now.

        Raises:
            KeyboardInterrupt: this process was asked to stop.
        """
        self._effect = "interrupt"
        if self.asked:
            raise KeyboardInterrupt

    def _ask(self, number: int, frame: FrameType | None) -> None:
        before, self.asked = self.asked, True
        if self._effect == "exit":
            os._exit(128 + signal.SIGTERM)
        if self._effect == "interrupt" and not before:
            raise KeyboardInterrupt
