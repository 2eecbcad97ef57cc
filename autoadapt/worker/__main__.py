"""Runs one job by hand, serves jobs to a launcher, or is the fork server from which a launcher gets its workers."""

import os
import sys
from pathlib import Path

from autoadapt.domain.outcome import Failure
from autoadapt.worker.hardware import own_devices
from autoadapt.worker.place import ENVIRONMENT, Place

USAGE = """\
usage: python -m autoadapt.worker RUN/trials/NUMBER/JOB     run one job
       python -m autoadapt.worker --serve                   serve jobs from stdin, at the place of AUTOADAPT_PLACE
       python -m autoadapt.worker --fork-server FD PARENT [MODULE ...]
"""


def main(arguments: list[str]) -> int:
    """Returns the exit code: 0 when the job was done, 1 when it failed, 2 when the arguments are wrong."""
    if arguments == ["--serve"]:
        from autoadapt.worker.serving import serve

        place = Place.model_validate_json(os.environ.pop(ENVIRONMENT))
        place.settle()
        serve(place)
        return 0
    if arguments[:1] == ["--fork-server"] and len(arguments) >= 3:
        from autoadapt.worker.fork_server import run_fork_server

        run_fork_server(int(arguments[1]), int(arguments[2]), arguments[3:])
        return 0
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write(USAGE)
        return 2
    return _run_once(Path(arguments[0]))


def _run_once(folder: Path) -> int:
    place = Place(devices=own_devices())
    place.settle()
    from autoadapt.worker.run import run_job
    from autoadapt.worker.workshop import Workshop

    outcome = run_job(folder, place, Workshop(), cold=True)
    sys.stdout.write(outcome.model_dump_json(indent=1, exclude={"result": {"rows"}}) + "\n")
    return 1 if isinstance(outcome.result, Failure) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
