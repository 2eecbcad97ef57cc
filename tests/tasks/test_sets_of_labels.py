"""Rows with a set of labels each: how they are read from files, split and refused."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from autoadapt.domain.data import Columns
from autoadapt.domain.label_sets import labels_in
from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.task import Task
from autoadapt.errors import Exit, UserError
from autoadapt.tasks.splits import Splits, make_splits
from autoadapt.tasks.tables import read_table

COLUMNS = Columns(input="text", output="label")


def outputs(folder: Path, name: str, content: str, kind: AnswerKind = "labels") -> list[list[str]]:
    """The answers of the rows of a file."""
    (folder / name).write_text(content)
    return [row.outputs for row in read_table(name, folder, COLUMNS, "train", kind).rows]


def test_equal_sets_from_csv_jsonl_and_parquet(tmp_path: Path) -> None:
    import datasets

    rows: list[dict[str, object]] = [
        {"text": "one", "label": ["b", "a"]},
        {"text": "two", "label": ["a", "b", "a"]},
        {"text": "three", "label": []},
        {"text": "four", "label": [" two words "]},
    ]
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "a.parquet")
    cells = [json.dumps(row["label"]).replace('"', '""') for row in rows]
    lines = [f'{row["text"]},"{cell}"' for row, cell in zip(rows, cells, strict=True)]
    expected = [["a | b"], ["a | b"], [""], ["two words"]]
    assert outputs(tmp_path, "a.jsonl", "".join(json.dumps(r) + "\n" for r in rows)) == expected
    assert outputs(tmp_path, "a.csv", "\n".join(["text,label", *lines])) == expected
    assert [r.outputs for r in read_table("a.parquet", tmp_path, COLUMNS, "train", "labels").rows] == expected


def test_values_in_lists_become_text_as_they_do_elsewhere(tmp_path: Path) -> None:
    assert outputs(tmp_path, "a.jsonl", '{"text": "x", "label": [2, true, "1"]}\n') == [["1 | 2 | true"]]


def test_a_row_whose_set_is_not_known_is_left_out_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,label\nx,\ny,[]\nz,"[""a""]"\n')
    table = read_table("a.csv", tmp_path, COLUMNS, "train", "labels")
    assert [(row.input, row.outputs) for row in table.rows] == [("y", [""]), ("z", ["a"])]
    assert table.notes == ["a.csv: 1 rows without input or output are left out"]


@pytest.mark.parametrize(
    ("name", "content", "kind", "expected"),
    [
        ("a.jsonl", '{"text": "x", "label": ["a"]}', "label", "line 1: column 'label' holds a list"),
        ("a.jsonl", '{"text": "x", "label": ["a"]}', "label", "choose `metric: micro_f1`"),
        ("a.csv", 'text,label\nx,"[""a"", ""b""]"\n', "label", "line 2: column 'label' holds a list"),
        ("a.jsonl", '{"text": "x", "label": ["a"]}', "text", "set data.columns.references"),
        ("a.jsonl", '{"text": "x", "label": "a"}', "labels", "holds 'a', not a list of labels; write [\"a\"], and []"),
        ("a.csv", "text,label\nx,[a]\n", "labels", "line 2: column 'label' holds '[a]', not a list of labels"),
        ("a.jsonl", '{"text": "x", "label": ["a|b"]}', "labels", "line 1: label 'a|b' contains '|'"),
        ("a.jsonl", '{"text": "x", "label": ["a", " "]}', "labels", "lists an empty label; [] means no label"),
        ("a.jsonl", '{"text": "x", "label": [["a"]]}', "labels", "column 'label' holds a list, not a text"),
        ("a.jsonl", '{"text": "x", "lable": ["a"]}', "labels", "no column 'label': did you mean 'lable'?"),
    ],
)
def test_lists_where_there_should_be_none_and_the_reverse_are_refused(
    tmp_path: Path, name: str, content: str, kind: AnswerKind, expected: str
) -> None:
    with pytest.raises(UserError) as caught:
        outputs(tmp_path, name, content, kind)
    assert expected in str(caught.value)
    assert caught.value.code == Exit.DATA


def test_a_text_that_looks_like_a_list_stays_a_text_where_texts_are_asked_for(tmp_path: Path) -> None:
    assert outputs(tmp_path, "a.csv", 'text,label\nx,"[1, 2]"\n', "text") == [["[1, 2]"]]


def test_several_accepted_texts_are_still_references(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x", "references": ["one", "two"]}\n')
    columns = Columns(input="text", output="label", references="references")
    assert read_table("a.jsonl", tmp_path, columns, "train", "text").rows[0].outputs == ["one", "two"]


SETS: Sequence[list[str]] = (["a"], ["a", "b"], [], ["c"], ["b", "c"])


def splits(
    folder: Path, validation: Sequence[str] | None = None, sets: Sequence[list[str]] = SETS, **data: object
) -> Splits:
    """Splits of 300 rows; `validation`: the set of every row of a validation file."""
    rows = [json.dumps({"text": f"text {i}", "label": sets[i % len(sets)]}) for i in range(300)]
    (folder / "train.jsonl").write_text("\n".join(rows))
    where: dict[str, object] = {"train": "train.jsonl"}
    if validation is not None:
        lines = [json.dumps({"text": f"new {i}", "label": list(validation)}) for i in range(40)]
        (folder / "validation.jsonl").write_text("\n".join(lines))
        where["validation"] = "validation.jsonl"
    task = Task.model_validate(
        {
            "name": "t",
            "data": {"columns": {"input": "text", "output": "label"}, **where, **data},
            "metric": "micro_f1",
            "models": ["m"],
            "budget": {"trials": 1},
            "economics": {"usd_per_hour": 1},
            "evaluation": {"rows": 30, "test_rows": 25},
        }
    )
    return make_splits(task, folder, "labels")


def test_labels_are_the_single_ones_and_every_split_has_each_set_in_its_share(tmp_path: Path) -> None:
    parts = splits(tmp_path)
    assert parts.labels == ["a", "b", "c"]
    for rows in (parts.validation, parts.test):
        for one in ("a", "a | b", "", "c", "b | c"):
            assert abs(sum(row.outputs == [one] for row in rows) - len(rows) / len(SETS)) <= 1


def test_validation_rows_may_have_sets_that_no_training_row_has(tmp_path: Path) -> None:
    parts = splits(tmp_path, validation=["c", "b", "a"])
    assert {labels_in(row.outputs[0]) for row in parts.validation} == {frozenset("abc")}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"validation": ["a", "odd"]}, "validation, row 1: label 'odd' is not among the labels (a, b, c)"),
        ({"labels": ["a", "b"]}, "train, row 4: label 'c' is not among the labels (a, b)"),
        ({"labels": ["a", "b", "c|d"]}, "data.labels: label 'c|d' contains '|'"),
        ({"sets": [[]]}, "no label in the training rows"),
        ({"sets": [["a"], []]}, "only one label ('a')"),
        (
            {"columns": {"input": "text", "output": "label", "references": "more"}},
            "data.columns.references: a set of labels has no other accepted answers; remove it",
        ),
    ],
)
def test_unusable_sets_are_refused(tmp_path: Path, changes: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        splits(tmp_path, **changes)  # type: ignore[arg-type]
    assert expected in str(caught.value)
    assert caught.value.code == Exit.DATA
