"""Frontiers: several runs compared; what ``autoadapt frontier`` calls."""

from collections.abc import Sequence
from pathlib import Path

from autoadapt.runs.frontiers import TaskRuns, load_runs


def frontiers(runs: Sequence[str | Path]) -> list[TaskRuns]:
    """Compares several runs, grouped by task; like ``autoadapt frontier``.

    Args:
        runs: run folders.

    Raises:
        UserError: a folder holds no study, or nothing was measured in full.
    """
    return load_runs(runs)
