"""A worker's life: jobs come on stdin, one `JobSent` per line; a `JobReport` per line goes to stdout. Both are JSON."""

import contextlib
import os
import sys
from pathlib import Path

from autoadapt.domain.outcome import Outcome
from autoadapt.domain.strict import StrictModel
from autoadapt.worker.place import Place
from autoadapt.worker.stopping import StopRequest


class JobSent(StrictModel):
    """Launcher: run the job in this folder."""

    sent: float
    """Time of the system's monotonic clock. A job that waited for the worker's imports has held its devices meanwhile,
    so its seconds count from then."""
    folder: str


class JobReport(StrictModel):
    """Worker: its part of the job is done."""

    folder: str
    retire: bool = False
    """Whether this worker ends now and should be replaced."""
    outcome: Outcome | None = None
    """Only where it could not be written into the folder: a failure that says why."""


def serve(place: Place) -> None:
    """Runs jobs until stdin ends or this worker should be replaced; each job's output goes to its own log.

    SIGTERM ends the job that runs, after its training has saved a checkpoint, and then this worker.

    Args:
        place: where this process stands; it was settled there.
    """
    # libraries print to stdout; the launcher must read this worker's messages alone
    messages = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    from autoadapt.worker.run import run_job
    from autoadapt.worker.workshop import Workshop, should_retire

    workshop, stop = Workshop(), StopRequest()
    stop.listen()
    first: Outcome | None = None
    for line in sys.stdin.buffer:
        job = JobSent.model_validate_json(line)
        folder = Path(job.folder)
        with contextlib.suppress(OSError):  # a full disk: the job will say so
            _log_to(folder / log_name(place.rank))
        with stop.held_back():
            outcome = run_job(folder, place, workshop, cold=first is None, sent=job.sent, stop=stop)
            first = first or outcome
            sys.stdout.flush()
            sys.stderr.flush()
            retire = stop.asked or should_retire(first, outcome, workshop)
            unwritten = None if place.outcome(folder).exists() else outcome
            report = JobReport(folder=job.folder, retire=retire, outcome=unwritten)
            messages.write(report.model_dump_json().encode() + b"\n")
            messages.flush()
        if retire or stop.asked:
            return


def log_name(rank: int) -> str:
    """The file of a job's folder for what a rank prints during the job."""
    return f"log-{rank}.txt" if rank else "log.txt"


def _log_to(path: Path) -> None:
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
