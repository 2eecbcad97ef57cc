"""Frontiers: several runs laid over each other; what ``autoadapt frontier`` calls."""

from collections.abc import Sequence
from pathlib import Path

from autoadapt.runs.frontiers import TaskRuns, load_runs


def frontiers(runs: Sequence[str | Path]) -> list[TaskRuns]:
    """Several runs laid over each other, by task; like ``autoadapt frontier``.

    Args:
        runs: run folders.

    Raises:
        UserError: a folder holds no study, or nothing was measured in full.
    """
    return load_runs(runs)
