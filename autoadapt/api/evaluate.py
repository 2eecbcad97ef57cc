"""Evaluate: a bundle on labelled rows, alone or beside a second one; what ``autoadapt evaluate`` calls."""

from pathlib import Path

from autoadapt.bundle.evaluating import evaluate_bundles
from autoadapt.bundle.versions import located
from autoadapt.domain.evaluation import Evaluation


def evaluate(bundle: str | Path, rows: str | Path, *, against: str | Path | None = None) -> Evaluation:
    """Scores a bundle on a labelled file by the metric of its task.

    Args:
        bundle: its folder, or a version of the registry such as ``registry:support@production``.
        rows: a csv, jsonl or parquet file with the task's columns.
        against: a second bundle in the same way, which answers the same rows.

    Raises:
        UserError: a bundle or the file cannot be used, a label is not known, or the two answer different questions.
    """
    return evaluate_bundles(located(bundle)[0], str(rows), None if against is None else located(against)[0])
