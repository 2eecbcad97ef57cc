"""The labels of a run folder's teacher: ``teacher/labels.jsonl`` and ``teacher/labels.json``, written once and never
changed."""

import hashlib
from pathlib import Path

from autoadapt.domain.teacher import LABELS_FILE, TeacherLabels
from autoadapt.files import content_of, read_model, write_atomic, write_json


def labels_summary(root: Path) -> Path:
    """The file that says what the labels are, written behind them: where it is absent there are none."""
    return (root / LABELS_FILE).with_suffix(".json")


def read_labels(root: Path) -> TeacherLabels | None:
    """The labels of a run folder; None: none were given, or their files are damaged."""
    labels = read_model(labels_summary(root), TeacherLabels)
    try:
        whole = labels is not None and hashlib.sha256(content_of(root / LABELS_FILE)).hexdigest() == labels.sha256
    except OSError:
        whole = False
    return labels if whole else None


def keep_labels(root: Path, rows: Path, labels: TeacherLabels) -> TeacherLabels:
    """Writes labels unless they are there; returns those that are.

    Args:
        root: the run folder.
        rows: file of the job that gave them.
        labels: what they are, but for the hash of the rows.

    Raises:
        OSError: the job's file is not there.
    """
    before = read_labels(root)
    if before is not None:
        return before
    text = content_of(rows).decode()
    (root / LABELS_FILE).parent.mkdir(exist_ok=True)
    write_atomic(root / LABELS_FILE, text)
    kept = labels.model_copy(update={"sha256": hashlib.sha256(text.encode()).hexdigest()})
    write_json(labels_summary(root), kept)
    return kept
