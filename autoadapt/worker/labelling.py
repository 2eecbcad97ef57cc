"""Labelling rows that have no answer: a prompt answers them in a worker, and those of which it is sure are kept."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoadapt.domain.jobs import Label
from autoadapt.domain.method import Answer
from autoadapt.domain.rows import Row
from autoadapt.domain.teacher import KEPT_ROWS, UNLABELLED, Labelling
from autoadapt.domain.usage import total_usage
from autoadapt.files import write_rows
from autoadapt.worker.examples import choose_examples
from autoadapt.worker.measuring import Bench, documents_of, rows_of
from autoadapt.worker.unsaved import as_fit, opened, used_apart_from_time
from autoadapt.worker.workshop import Workshop

ROWS_AT_ONCE = 64
"""Rows answered before it is asked whether enough were labelled, and whether time and money allow more."""


def label(bench: Bench, job: Label, folder: Path, workshop: Workshop) -> Labelling:
    """Answers unlabelled rows in their fixed order until enough are kept, and writes those into the job's folder.

    Args:
        bench: the run, its metric and devices.
        job: whose prompt answers, and how sure it must be.
        folder: of the job.
        workshop: the models of this process.
    """
    select, _ = choose_examples(job, lambda: rows_of(bench.run, "train"), lambda: documents_of(bench.run))
    rows = rows_of(bench.run, UNLABELLED, job.rows)
    kept, began = Kept(job), time.monotonic()
    adapted = opened(bench, as_fit(job), select, workshop)
    try:
        adapted.prepare([row.input for row in rows])
        for start in range(0, len(rows), ROWS_AT_ONCE):
            if not kept.wants_more(time.monotonic() - began):
                break
            part = rows[start : start + ROWS_AT_ONCE]
            kept.take(part, adapted.answer([row.input for row in part]))
            bench.tick()
    finally:
        adapted.close()
    write_rows(folder / KEPT_ROWS, kept.rows)
    return kept.result


@dataclass
class Kept:
    """The rows that were labelled so far."""

    job: Label
    rows: list[Row] = field(default_factory=list)
    result: Labelling = field(default_factory=lambda: Labelling(answered=0, answered_before=[]))

    def wants_more(self, seconds: float) -> bool:
        """Whether further rows are to be answered, after so many seconds."""
        job = self.job
        return (
            len(self.rows) < job.wanted
            and (job.most_seconds is None or seconds < job.most_seconds)
            and (job.most_usd is None or self.result.usage.usd < job.most_usd)
        )

    def take(self, rows: Sequence[Row], answers: Sequence[Answer]) -> None:
        """Keeps those of which the model is sure."""
        counts, before = {"unsure": 0, "without_confidence": 0, "unusable": 0}, [*self.result.answered_before]
        for i, (row, answer) in enumerate(zip(rows, answers, strict=True), self.result.answered + 1):
            if (reason := self._against(answer)) is not None:
                counts[reason] += 1
            elif len(self.rows) < self.job.wanted:
                self.rows.append(row.model_copy(update={"outputs": [answer.text]}))
                before.append(i)
        usage = total_usage([self.result.usage, *map(used_apart_from_time, answers)])
        self.result = Labelling(
            answered=self.result.answered + len(rows),
            answered_before=before,
            usage=usage,
            **{name: getattr(self.result, name) + count for name, count in counts.items()},
        )

    def _against(self, answer: Answer) -> str | None:
        """Why an answer is no label; None: it is one."""
        labels = self.job.scored_labels
        if answer.failed or answer.unusable or (labels and answer.text not in labels):
            return "unusable"
        if not answer.text.strip() and not self.job.multi_label:
            return "unusable"
        if answer.confidence is None:
            return "without_confidence"
        return "unsure" if answer.confidence < self.job.least_confidence else None
