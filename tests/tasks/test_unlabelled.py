"""Rows without a label: how they are read, what is left out, and what is refused before anything is spent."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeTask, labelled_rows

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.teacher import Labelling, TeacherLabels
from autoadapt.domain.usage import Usage
from autoadapt.errors import UserError
from autoadapt.tasks.resolve import resolve

COLUMNS = {"input": "text", "output": "label"}


def task_with(make_task: MakeTask, more: str, name: str = "more.jsonl", **changes: Any) -> Path:
    """A task with these unlabelled rows; the scripted model may teach."""
    teacher = {"model": "scripted", "rows": [0, 5, 20], **changes.pop("teacher", {})}
    data = {"path": "data.jsonl", "unlabelled": name, "columns": COLUMNS}
    task = make_task(**{"data": data, "teacher": teacher, **changes})
    (task.parent / name).write_text(more)
    return task


def rows_from(start: int, stop: int) -> str:
    return "".join(json.dumps({"text": row["text"]}) + "\n" for row in labelled_rows(stop)[start:])


def test_rows_that_are_labelled_and_repeated_ones_are_left_out(make_task: MakeTask) -> None:
    resolved = resolve(task_with(make_task, rows_from(170, 220) + rows_from(180, 182) + '{"text": " "}\n'))
    texts = [row.input for row in resolved.splits.unlabelled]
    assert len(texts) == len({*texts}) == 40
    assert all(row.outputs == [] for row in resolved.splits.unlabelled)
    notes = "\n".join(resolved.splits.notes)
    assert "more.jsonl: 2 repeated rows" in notes
    assert "more.jsonl: 10 rows whose input is also in a labelled split" in notes
    assert "more.jsonl: 1 rows without input" in notes
    again = resolve(task_with(make_task, rows_from(170, 220)))
    assert [row.input for row in again.splits.unlabelled] == texts, "their order depends on the seed alone"


def test_no_more_rows_are_searched_than_there_are(make_task: MakeTask) -> None:
    resolved = resolve(task_with(make_task, rows_from(180, 190)))
    assert resolved.task.teacher.rows == [0, 5]
    specs = {arm.method: arm.specs for arm in resolved.space.arms.values()}
    assert "teacher_rows" in specs["lora"]
    assert "teacher_rows" not in specs["prompt"]


def test_a_space_without_unlabelled_rows_is_as_it_was(make_task: MakeTask) -> None:
    resolved = resolve(make_task())
    assert not any("teacher_rows" in arm.specs for arm in resolved.space.arms.values())
    assert resolved.identity()["teacher"] is None
    assert "unlabelled" not in resolved.identity()["data"]


def test_csv_needs_the_input_column_alone(make_task: MakeTask) -> None:
    text = "text\n" + "".join(f"{row['text']}\n" for row in labelled_rows(220)[180:])
    assert len(resolve(task_with(make_task, text, "more.csv")).splits.unlabelled) == 40


@pytest.mark.parametrize(
    ("more", "changes", "expected"),
    [
        (rows_from(180, 183), {}, "has 3 usable rows, fewer than the least to be learned from (5)"),
        ('{"label": "x"}\n', {}, "column 'text'"),
        ("not json\n", {}, "not valid JSON"),
        (rows_from(180, 220), {"teacher": {"model": None}}, "no hosted model"),
        (rows_from(180, 220), {"teacher": {"model": "scriptd"}}, "none of the task's models"),
        (rows_from(180, 220), {"methods": ["lora", "full"]}, "add the method prompt"),
        (rows_from(180, 220), {"methods": ["prompt"]}, "no method of the task learns from rows"),
        (rows_from(180, 220), {"teacher": {"rows": [5, 20]}}, "0 among them"),
    ],
)
def test_what_cannot_work_is_refused(more: str, changes: dict[str, Any], expected: str, make_task: MakeTask) -> None:
    with pytest.raises(UserError) as raised:
        resolve(task_with(make_task, more, **changes))
    assert expected in str(raised.value)


def test_settings_of_a_teacher_without_rows_are_refused(make_task: MakeTask) -> None:
    with pytest.raises(UserError, match=r"give data\.unlabelled"):
        resolve(make_task(teacher={"least_confidence": 0.9}))


def test_the_parameter_is_no_one_elses(make_task: MakeTask) -> None:
    from conftest import SPACE

    with pytest.raises(UserError, match="unknown parameter 'teacher_rows'"):
        resolve(make_task(space=SPACE.replace("    r: [4, 8]", "    r: [4, 8]\n    teacher_rows: [0, 3]")))


def labels_of(kept: list[int], answered: int, usage: Usage) -> TeacherLabels:
    candidate = Candidate(method="prompt", model="scripted", params={})
    labelling = Labelling(answered=answered, answered_before=kept)
    return TeacherLabels(trial=0, candidate=candidate, least_confidence=0.8, labelling=labelling, usage=usage)


def test_candidates_wait_for_their_labels_and_bear_their_part(make_task: MakeTask) -> None:
    resolved = resolve(task_with(make_task, rows_from(180, 260)))
    lora = resolved.space.default("lora", "scripted")
    five, twenty = (lora.model_copy(update={"params": {**lora.params, "teacher_rows": n}}) for n in (5, 20))
    assert resolved.obstacle(lora) is None
    assert "0 are labelled" in str(resolved.obstacle(five))
    assert resolved.open_arms()["lora"].specs["teacher_rows"].choices == [0]  # type: ignore[union-attr]
    # every second row was kept, and eight rows were answered behind the last one
    resolved.taught.labels = labels_of([2 * i for i in range(1, 11)], 28, Usage(tokens_in=280, usd=0.28))
    assert resolved.obstacle(five) is None
    assert "10 are labelled" in str(resolved.obstacle(twenty))
    assert resolved.open_arms()["lora"].specs["teacher_rows"].choices == [0, 5]  # type: ignore[union-attr]
    assert resolved.taught.usage(five).usd == pytest.approx(0.28 * 10 / 28)
    assert resolved.taught.usage(five).tokens_in == 100
    assert resolved.taught.usage(lora) == Usage()


def test_steps_and_passes_count_the_rows_of_a_teacher() -> None:
    own = {"num_train_epochs": 3, "batch_size": 10}
    plain = Candidate(method="lora", model="m", params={**own, "teacher_rows": 0})
    with_rows = Candidate(method="lora", model="m", params={**own, "teacher_rows": 50})
    assert (plain.steps(100), with_rows.steps(100)) == (30, 45)
    assert (plain.passes_over(100), with_rows.passes_over(100)) == (3, 4.5)
