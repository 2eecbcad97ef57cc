"""Running searches stopped through their run folders."""

import time
from pathlib import Path

from autoadapt.errors import Exit, UserError
from autoadapt.runs.driver_report import POLL_SECONDS, DriverReport, ask_to_stop, read_report


def stop_search(run: Path, seconds: float) -> tuple[bool, DriverReport]:
    """Asks the search of a run folder to stop, from any machine that shares the folder.

    Trainings save a checkpoint first, and the same command or ``autoadapt resume`` resumes it.

    Args:
        run: run folder.
        seconds: that it is waited for its end; 0: not at all.

    Returns:
        Whether a search was running, and what its driver has told last.

    Raises:
        UserError: there is no such run folder, or it cannot be written.
    """
    report = read_report(run)
    if not report.runs():
        return False, report
    try:
        ask_to_stop(run)
    except OSError as error:
        raise UserError(f"{run}: cannot be written ({error.strerror})", Exit.ENVIRONMENT) from error
    until = time.monotonic() + seconds
    while report.runs() and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
        report = read_report(run)
    return True, report
