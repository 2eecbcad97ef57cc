"""Rows without an answer that a teacher may label, and whether a task has what labelling needs."""

import dataclasses
import random
from collections.abc import Mapping
from pathlib import Path

from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.params import TEACHER_ROWS
from autoadapt.domain.rows import Row
from autoadapt.domain.space import Branch
from autoadapt.domain.task import Task
from autoadapt.domain.teacher import UNLABELLED
from autoadapt.errors import Exit, UserError, did_you_mean
from autoadapt.registry import expanded
from autoadapt.shelves import METHODS
from autoadapt.tasks.space import Pairs
from autoadapt.tasks.splits import Splits, same_input
from autoadapt.tasks.tables import Reading, read_table

MOST_LOOKED_AT = 20
"""Unlabelled rows that are kept for each one that may be learned from; a teacher is seldom less sure."""


def with_unlabelled(task: Task, base: Path, splits: Splits, answers: AnswerKind) -> tuple[Task, Splits]:
    """A task and its splits with the unlabelled rows that it names; without them, as they are.

    A row whose input stands in a split is left out, apart from case and white space: what options are measured on is
    never learned from. The others are in a random order by the task's seed. Numbers in `teacher.rows` that are more
    than there are rows are left out.

    Args:
        task: names the file and its columns.
        base: folder of the task file.
        splits: the labelled rows.
        answers: what the metric asks for.

    Raises:
        UserError: exit code 3.
    """
    data = task.data
    if data.unlabelled is None:
        return task, splits
    reading = dataclasses.replace(Reading.of(data, task.seed), inputs_alone=True)
    table = read_table(expanded(data.unlabelled), base, data.columns, UNLABELLED, answers, reading)
    known = {same_input(row) for part in (splits.train, splits.dev, splits.validation, splits.test) for row in part}
    first: dict[str, Row] = {}
    for row in table.rows:
        first.setdefault(same_input(row), row)
    rows = [row for text, row in first.items() if text not in known]
    notes = [*table.notes]
    if repeated := len(table.rows) - len(first):
        notes.append(f"{table.name}: {repeated} repeated rows are left out")
    if overlap := len(first) - len(rows):
        notes.append(f"{table.name}: {overlap} rows whose input is also in a labelled split are left out")
    counts = [count for count in task.teacher.rows if count <= len(rows)]
    if len(counts) < 2:
        least = task.teacher.rows[1]
        raise UserError(
            f"{table.name} has {len(rows)} usable rows, fewer than the least to be learned from ({least}): give more "
            "rows, or lower teacher.rows",
            Exit.DATA,
        )
    random.Random(f"{task.seed}/{UNLABELLED}").shuffle(rows)
    rows = rows[: MOST_LOOKED_AT * counts[-1]]
    teacher = task.teacher.model_copy(update={"rows": counts})
    splits = dataclasses.replace(splits, unlabelled=rows, notes=[*splits.notes, *notes])
    return task.model_copy(update={"teacher": teacher}), splits


def teacher_models(task: Task, pairs: Pairs) -> list[str]:
    """The models whose prompts may label: the one that the task names, else those that are hosted.

    Args:
        task: with its settings of the teacher.
        pairs: which methods and models suit each other.
    """
    prompted = {name for method, names in pairs.models.items() if METHODS.get(method).prompts_alone for name in names}
    if task.teacher.model is not None:
        return [name for name in (task.teacher.model,) if name in prompted]
    hosted = [name for name in task.models if name in pairs.capabilities and pairs.capabilities[name].remote]
    return [name for name in hosted if name in prompted]


def check_teacher(task: Task, pairs: Pairs, arms: Mapping[str, Branch]) -> None:
    """Refuses unlabelled rows of which nothing could come.

    Args:
        task: with its settings of the teacher.
        pairs: which methods and models suit each other.
        arms: of the search space.

    Raises:
        UserError: nothing can label them, or no method learns from rows.
    """
    if task.data.unlabelled is None:
        return
    if not any(METHODS.get(method).prompts_alone for method in task.methods):
        raise UserError("data.unlabelled: a prompt labels its rows; add the method prompt, or remove data.unlabelled")
    named = task.teacher.model
    if named is not None and named not in task.models:
        raise UserError(f"teacher.model '{named}' is none of the task's models: {did_you_mean(named, task.models)}")
    if not teacher_models(task, pairs):
        raise UserError(
            f"teacher.model '{named}' cannot be prompted for these answers; name another one"
            if named is not None
            else "data.unlabelled: the task has no hosted model whose prompt could label its rows; add one, or name "
            "one of the others: teacher: {model: NAME}"
        )
    if not any(TEACHER_ROWS in arm.specs for arm in arms.values()):
        raise UserError("data.unlabelled: no method of the task learns from rows; add one such as lora or head")
