"""Scores of parts of the answers: those that the metric knows, and rows that the documents answer or do not answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from autoadapt.domain.metric import Metric, Part
from autoadapt.domain.rows import Row
from autoadapt.tasks.resolve import ResolvedTask

ANSWERABLE, UNANSWERABLE = "answered by the documents", "not answered by them"


def parts_are(resolved: ResolvedTask) -> str:
    """What one part is called: as the metric says, or a kind of row where the task has documents."""
    own = resolved.metric.parts_are
    return "kind of row" if resolved.task.documents is not None and own == Metric.parts_are else own


def parts_of(resolved: ResolvedTask, stats: Any, rows: Sequence[Row]) -> list[Part]:
    """The parts of answers with their scores.

    Args:
        resolved: the task.
        stats: of answers, shape (rows, statistics); there may be fewer than rows.
        rows: that were answered.
    """
    parts, documents = resolved.metric.parts(stats), resolved.task.documents
    if documents is None:
        return parts
    unanswerable = np.array([documents.no_answer in row.outputs for row in rows[: len(stats)]], dtype=bool)
    for name, chosen in ((ANSWERABLE, ~unanswerable), (UNANSWERABLE, unanswerable)):
        if chosen.any():
            score = resolved.metric.value(stats[chosen])
            parts.append(Part(name=name, rows=int(chosen.sum()), score=score))
    return parts
