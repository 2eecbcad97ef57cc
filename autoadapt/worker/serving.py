"""A worker's life: jobs come on stdin as lines ``TIME FOLDER``; ``done FOLDER`` or ``retire FOLDER`` goes to stdout.

TIME is that of the system's monotonic clock when the job was sent. A job that waited for the worker's imports has held
its devices meanwhile, so its seconds count from then.
"""

import os
import sys
from pathlib import Path
from typing import TextIO

from autoadapt.domain.outcome import Outcome
from autoadapt.worker.place import Place


def serve(place: Place) -> None:
    """Runs jobs until stdin ends or this worker should be replaced; each job's output goes to its own log.

    Args:
        place: where this process stands; it was settled there.
    """
    # libraries print to stdout; the launcher must read this worker's messages alone
    messages: TextIO = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from autoadapt.worker.run import run_job
    from autoadapt.worker.workshop import Workshop, should_retire

    workshop = Workshop()
    first: Outcome | None = None
    for line in sys.stdin:
        sent, _, path = line.rstrip("\n").partition(" ")
        folder = Path(path)
        _log_to(folder / ("log.txt" if place.rank == 0 else f"log-{place.rank}.txt"))
        outcome = run_job(folder, place, workshop, cold=first is None, sent=float(sent))
        first = first or outcome
        sys.stdout.flush()
        sys.stderr.flush()
        retire = should_retire(first, outcome, workshop)
        messages.write(f"{'retire' if retire else 'done'} {folder}\n")
        if retire:
            return


def _log_to(path: Path) -> None:
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
