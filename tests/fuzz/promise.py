"""What every command promises whatever it is given, and how it is held in this process."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from conftest import call
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from autoadapt.errors import Exit
from autoadapt.process_memory import peak_resident_bytes, reset_peak, resident_bytes

MOST_SECONDS = 5.0
"""Of CPU time of one command: that of the wall would depend on what else the machine does."""
MOST_BYTES = 1_000_000_000
"""By which the memory of this process may grow for one command."""
MOST_IN_SUITE = 100
"""Cases of one test; a test with more begins with another seed each time."""
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no output of a command may hold: characters that steer a terminal or that nothing can encode."""


class TooMuchWorkError(BaseException):
    """A command took more CPU time than it may; no `except Exception` holds it back."""


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Ends what takes too much CPU time of this process, and fails where its memory grew too much."""

    def stop(number: int, frame: object) -> None:
        raise TooMuchWorkError(f"more than {MOST_SECONDS:g} s of CPU time")

    before = signal.signal(signal.SIGVTALRM, stop)
    reset_peak()
    at_first = resident_bytes()
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    grown = peak_resident_bytes() - at_first
    assert grown < MOST_BYTES, f"memory grew by {grown / 1e6:,.0f} MB"


def run_limited(folder: Path, *arguments: object, given_input: bytes = b"") -> "subprocess.CompletedProcess[str]":
    """Runs a command in a folder and checks what every command promises.

    Never exit code 1 and never a traceback; with any other code than 0, one message that begins with "autoadapt:" or
    the usage of the command; little time and memory; no output that steers a terminal.

    Args:
        folder: working folder of the command.
        arguments: of the command line.
        given_input: standard input.
    """
    before, stdin = Path.cwd(), sys.stdin
    os.chdir(folder)
    sys.stdin = io.TextIOWrapper(io.BytesIO(given_input), encoding="utf-8")
    try:
        with limited():
            done = call(*arguments)
    finally:
        sys.stdin = stdin
        os.chdir(before)
    check_promise(done)
    return done


def check_promise(done: "subprocess.CompletedProcess[str]") -> None:
    """Fails where a command has ended in a way that no command may."""
    told = done.stderr
    assert done.returncode != Exit.BUG, told
    assert done.returncode in {0, *Exit}, done.returncode
    assert "Traceback" not in done.stdout + told, told
    assert STEERING.search(done.stdout + told) is None, ascii(done.stdout + told)
    if done.returncode == Exit.NOTHING_FITS and not told:
        return  # the answer that nothing fits stands on standard output
    if done.returncode != Exit.OK:
        assert told.startswith(("autoadapt: ", "Usage: ")), told
        assert len(re.findall(r"^(?:autoadapt: |Usage: )", told, re.MULTILINE)) == 1, told


def try_cases(
    count: int, cases: st.SearchStrategy[Any], holds: Callable[[Any], None], examples: tuple[Any, ...] = ()
) -> None:
    """Draws so many cases and checks each; the cases of the suite are the same every time.

    Args:
        count: of cases.
        cases: from which they are drawn.
        holds: fails where a case does not end as it should.
        examples: cases that are tried first: those that were found and mended.
    """

    def tried(case: Any) -> None:
        holds(case)

    every = given(cases)(tried)
    for case in examples:
        every = example(case)(every)
    slow = [
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
        HealthCheck.filter_too_much,
    ]
    settings(
        max_examples=count,
        derandomize=count <= MOST_IN_SUITE,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=slow,
    )(every)()
