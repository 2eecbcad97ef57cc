"""What a running search has told, seen from another process, and the logs of its jobs."""

import time
from pathlib import Path

from rich.console import Group, RenderableType
from rich.live import Live

from autoadapt.display.terminal.plain_text import plain, terminal
from autoadapt.display.terminal.status import status_lines
from autoadapt.display.text import duration
from autoadapt.runs.driver_report import DriverReport, read_report
from autoadapt.runs.job_logs import LogPart

REFRESH_SECONDS = 1.0


def print_report(run: Path) -> None:
    """Prints where the search of a run folder stands."""
    terminal().print(_shown(run, read_report(run)))


def watch_report(run: Path) -> None:
    """Shows it, redrawn in place, until the search has ended or was killed."""
    report = read_report(run)
    with Live(_shown(run, report), console=terminal(), refresh_per_second=2) as live:
        while report.runs():
            time.sleep(REFRESH_SECONDS)
            report = read_report(run)
            live.update(_shown(run, report))


def _shown(run: Path, report: DriverReport) -> RenderableType:
    return Group(plain(state_line(run, report)), plain(f"last event: {report.message}"), status_lines(report.status))


def state_line(run: Path, report: DriverReport) -> str:
    """Whether the search runs, where, and if not, how it has ended and what to do."""
    ago = duration(report.seconds_ago())
    if report.runs():
        return f"running on {report.host} (process {report.pid}), last heard of {ago} ago"
    resume = f"resume it by: autoadapt resume {run}"
    if not report.ended:
        return f"ended without a word {ago} ago on {report.host}, as when it is killed; {resume}"
    if report.exit_code is None:
        return f"ended by an error {ago} ago on {report.host}; {resume}"
    if report.exit_code >= 128:
        return f"stopped {ago} ago on {report.host}; {resume}"
    return f"ended {ago} ago on {report.host} with exit code {report.exit_code}; see `autoadapt report {run}`"


class LogPrinter:
    """Prints parts of logs, with a heading wherever another job goes on."""

    def __init__(self) -> None:
        self._console, self._job, self._ended = terminal(soft_wrap=True), "", True

    def show(self, part: LogPart) -> None:
        """Prints one part."""
        if part.job != self._job:
            if self._job and not self._ended:
                self._console.print()
            self._job = part.job
            self._console.print(plain(f"== {part.job}"))
        lines = part.text.split("\n")
        for line in lines[:-1]:
            self._console.print(plain(line))
        self._console.print(plain(lines[-1]), end="")
        self._ended = not lines[-1]

    def end(self, trial: int) -> None:
        """Ends the last line, and says so where there was nothing."""
        if not self._ended:
            self._console.print()
        if not self._job:
            self._console.print(f"the jobs of trial {trial} have printed nothing")
