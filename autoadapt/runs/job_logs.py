"""What the jobs of a trial have printed, as it is printed."""

import codecs
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoadapt.errors import Exit, UserError
from autoadapt.runs.driver_report import POLL_SECONDS, check_run_folder, read_report
from autoadapt.runs.run_folder import JOB_FOLDER, RunFolder
from autoadapt.worker.serving import log_name

PART_BYTES = 1_000_000


@dataclass(frozen=True)
class LogPart:
    """What a job has printed since the last part."""

    job: str
    """Name of its folder, such as ``rung0``, and of the file where it is not that of the first rank."""
    text: str


def follow_logs(run: Path, trial: int, follow: bool) -> Iterator[LogPart]:
    """What the jobs of a trial have printed, in the order in which they began.

    Args:
        run: run folder.
        trial: its number.
        follow: whether to go on with what they print, until the search has ended or was killed.

    Raises:
        UserError: there is no such run folder, or no such trial in it.
    """
    folder, logs = _trial_folder(run, trial), dict[Path, _Log]()
    while True:
        goes_on = follow and read_report(run).runs()  # asked first: what is printed until the end is shown
        for file in _log_files(folder):
            name = file.parent.name if file.name == log_name(0) else f"{file.parent.name}/{file.name}"
            for text in logs.setdefault(file, _Log(file)).new_texts():
                yield LogPart(name, text)
        if not goes_on:
            return
        time.sleep(POLL_SECONDS)


class _Log:
    """A file that grows while it is read."""

    def __init__(self, file: Path) -> None:
        self._file, self._read = file, 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def new_texts(self) -> Iterator[str]:
        """What was written since the last call, in parts that fit into memory."""
        with self._file.open("rb") as log:
            log.seek(self._read)
            while content := log.read(PART_BYTES):
                self._read += len(content)
                yield self._decoder.decode(content)


def _trial_folder(run: Path, trial: int) -> Path:
    check_run_folder(run)
    folder = RunFolder(run).trial(trial)
    if folder.is_dir():
        return folder
    numbers = sorted(int(one.name) for one in (run / "trials").iterdir() if one.name.isdigit())
    known = f"it has trials {numbers[0]} to {numbers[-1]}" if numbers else "it has none yet"
    raise UserError(f"{run}: has no trial {trial}; {known}", Exit.CONFIG)


def _log_files(folder: Path) -> list[Path]:
    jobs = [job for job in folder.iterdir() if JOB_FOLDER.fullmatch(job.name) and (job / "job.json").exists()]
    jobs.sort(key=lambda job: (job / "job.json").stat().st_mtime_ns)
    return [file for job in jobs for file in sorted(job.glob("log*.txt")) if file.is_file()]
