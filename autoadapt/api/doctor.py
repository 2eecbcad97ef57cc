"""Doctor: what this machine can do and the fix for each lack; what ``autoadapt doctor`` calls."""

from pathlib import Path

from autoadapt.domain.machine import Checkup
from autoadapt.forecast.checkup import checkup
from autoadapt.forecast.machine import hub_state, survey
from autoadapt.tasks.listed_models import list_models


def doctor(folder: str | Path = ".") -> Checkup:
    """What this machine can do for a search, and how to fix what it lacks; like ``autoadapt doctor``.

    Args:
        folder: where a search would write.
    """
    return checkup(survey(Path(folder), try_torch=True), hub_state(), list_models())
