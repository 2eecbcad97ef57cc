"""Evaluating bundles on a labelled file, with the statistics of a search's verdict."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoadapt.bundle.description import BundleDescription
from autoadapt.bundle.loaded import Bundle, read_bundle
from autoadapt.domain.data import Columns
from autoadapt.domain.evaluation import Difference, EvaluatedOption, Evaluation, LabelQuality
from autoadapt.domain.label_sets import labels_in
from autoadapt.domain.metric import Metric, answered_rows
from autoadapt.domain.rows import Row
from autoadapt.errors import Exit, UserError, did_you_mean
from autoadapt.runs.answers import RIGHT
from autoadapt.shelves import METRICS
from autoadapt.tasks.tables import Table, read_table
from autoadapt.verdict.comparisons import paired
from autoadapt.verdict.intervals import interval


def evaluate_bundles(folder: Path, rows: str, against: Path | None = None) -> Evaluation:
    """Answers labelled rows by a bundle, and by a second one where there is one, and scores the answers.

    Args:
        folder: of the bundle; its task says which columns hold what, and which metric counts.
        rows: a csv, jsonl or parquet file with the task's columns.
        against: folder of the second bundle, of the same kind of answers.

    Raises:
        UserError: a bundle or the file cannot be used, a label is not known, or the two answer different questions.
    """
    description = read_bundle(folder)
    table = labelled_rows(description, rows)
    metric = METRICS.new(description.metric.name, description.metric.settings)
    if against is not None:
        _check_same_question(description, read_bundle(against))
    stats, first = _scored(folder, metric, table.rows)
    evaluation = Evaluation(metric=description.metric.name, rows=len(table.rows), first=first, notes=table.notes)
    if against is None:
        return evaluation
    other, second = _scored(against, metric, table.rows)  # loaded when the first one is gone: both need not fit
    return evaluation.model_copy(update={"second": second, "compared": _difference(metric, stats, other)})


def labelled_rows(description: BundleDescription, rows: str) -> Table:
    """The labelled rows of a file.

    Raises:
        UserError: exit code 3: the file cannot be read, or a label is none of the option's.
    """
    stated = description.columns
    columns = Columns(
        input=stated.input[0] if len(stated.input) == 1 else stated.input,
        output=stated.output,
        references=stated.references,
    )
    table = read_table(rows, Path(), columns, "test", description.answers)
    known = set(description.labels or [])
    for row in table.rows if known else ():
        given = labels_in(row.outputs[0]) if description.answers == "labels" else set(row.outputs)
        if strange := sorted(given - known):
            raise UserError(
                f"{rows}: row {row.id} has the label '{strange[0][:80]}', which the option does not know: "
                f"{did_you_mean(strange[0], known)} Leave such rows out, or search again with them.",
                Exit.DATA,
            )
    return table


def _check_same_question(first: BundleDescription, second: BundleDescription) -> None:
    if first.answers != second.answers or set(first.labels or []) != set(second.labels or []):
        raise UserError("--against: the two bundles answer with different labels, so that they cannot be compared")
    if first.columns.input != second.columns.input:
        raise UserError("--against: the two bundles read different input columns, so that they cannot be compared")


def _scored(folder: Path, metric: Metric, rows: Sequence[Row]) -> tuple[NDArray[Any], EvaluatedOption]:
    """The metric's statistics of every row, shape (rows, statistics), and what they come to."""
    with Bundle.load(folder) as bundle:
        answers = [prediction.answer for prediction in bundle.predict([row.input for row in rows])]
    description = bundle.description
    stats = row_stats(metric, rows, answers, description.labels)
    low, high = interval(metric, stats)
    return stats, EvaluatedOption(
        name=folder.resolve().name,
        option=description.option,
        quality=metric.value(stats),
        low=low,
        high=high,
        exported_quality=description.quality.value,
        labels=_label_qualities(stats[:, 0], rows) if description.answers == "label" else [],
        parts=metric.parts(stats),
    )


def row_stats(
    metric: Metric, rows: Sequence[Row], answers: Sequence[str], labels: Sequence[str] | None
) -> NDArray[Any]:
    """The metric's statistics of answers to labelled rows, shape (rows, statistics)."""
    return np.array(metric.score(answered_rows(rows, answers, labels)).stats, dtype=float)


def _label_qualities(scores: NDArray[Any], rows: Sequence[Row]) -> list[LabelQuality]:
    from scipy.stats import binomtest

    labels = np.array([row.outputs[0] for row in rows])
    qualities = []
    for label in sorted(set(labels.tolist())):
        right = scores[labels == label]
        share = binomtest(round(float(right.sum())), len(right)).proportion_ci(0.95, method="wilson")
        qualities.append(
            LabelQuality(
                label=label, rows=len(right), right=float(right.mean()), low=float(share.low), high=float(share.high)
            )
        )
    return sorted(qualities, key=lambda one: (one.right, one.label))


def _difference(metric: Metric, first: NDArray[Any], second: NDArray[Any]) -> Difference:
    compared = paired(metric, first, second, (0, 1))
    a, b = first[:, 0] >= RIGHT, second[:, 0] >= RIGHT
    return Difference(
        difference=compared.difference,
        low=compared.low,
        high=compared.high,
        p=compared.p,
        both_right=int((a & b).sum()),
        first_alone=int((a & ~b).sum()),
        second_alone=int((b & ~a).sum()),
        both_wrong=int((~a & ~b).sum()),
    )
