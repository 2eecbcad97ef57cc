"""Artifacts of an earlier run that were damaged or lost since: their options can be neither scored nor deployed."""

from collections.abc import Iterable

from autoadapt.errors import UserError
from autoadapt.runs.run_folder import RunFolder
from autoadapt.worker.artifacts import read_description


def damaged_artifacts(folder: RunFolder, trials: Iterable[int]) -> dict[int, str]:
    """What is wrong with artifacts, by trial; trials whose files are as they were written are absent.

    Every file is read and compared with its hash, as it is before an artifact is loaded.

    Args:
        folder: of the run.
        trials: that an earlier run has measured and whose artifacts it has kept.
    """
    found = {}
    for trial in sorted(trials):
        try:
            read_description(folder.trial(trial) / "artifact")
        except UserError as error:
            found[trial] = str(error)
    return found
