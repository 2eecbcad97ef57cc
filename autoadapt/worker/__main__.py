"""Runs one step by hand, or serves: step folders come line by line on stdin, ``done`` or ``retire`` goes to stdout."""

import os
import sys
from pathlib import Path
from typing import TextIO

from autoadapt.domain.outcome import Outcome
from autoadapt.worker.hardware import own_devices
from autoadapt.worker.place import ENVIRONMENT, Place

RETIRE_GROWTH = 2.0
RETIRE_BYTES = 2 * 2**30


def main(arguments: list[str]) -> int:
    """Returns the exit code: 0 when the step was measured, 1 when it failed."""
    if arguments == ["--serve"]:
        place = Place.model_validate_json(os.environ.pop(ENVIRONMENT))
        place.settle()
        serve(place)
        return 0
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write("usage: python -m autoadapt.worker RUN/trials/NUMBER/STEP\n")
        return 2
    place = Place(devices=own_devices())
    place.settle()
    from autoadapt.worker.run import run_step

    outcome = run_step(Path(arguments[0]), place, cold=True)
    sys.stdout.write(outcome.model_dump_json(indent=1, exclude={"measurement": {"rows"}}) + "\n")
    return 0 if outcome.failure is None else 1


def serve(place: Place) -> None:
    """Runs steps until stdin ends or this worker should be replaced; each step's output goes to its own log."""
    wire: TextIO = os.fdopen(os.dup(1), "w", buffering=1)
    from autoadapt.worker.run import run_step

    first: Outcome | None = None
    for line in sys.stdin:
        folder = Path(line.rstrip("\n"))
        _log_to(folder / ("log.txt" if place.rank == 0 else f"log-{place.rank}.txt"))
        outcome = run_step(folder, place, cold=first is None)
        first = first or outcome
        sys.stdout.flush()
        sys.stderr.flush()
        retire = should_retire(first, outcome)
        wire.write(f"{'retire' if retire else 'done'} {folder}\n")
        if retire:
            return


def should_retire(first: Outcome, last: Outcome) -> bool:
    """Whether a fresh process is safer: memory grew or ran out, or ZeRO-3 was used (it leaves models behind)."""
    zero = sys.modules.get("autoadapt.training.deepspeed_backend")
    zero3 = zero is not None and zero.used_stage_3
    grown = last.worker_rss_bytes > RETIRE_GROWTH * first.worker_rss_bytes + RETIRE_BYTES
    out_of_memory = last.failure is not None and last.failure.kind == "oom"
    return bool(zero3) or grown or out_of_memory


def _log_to(path: Path) -> None:
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
