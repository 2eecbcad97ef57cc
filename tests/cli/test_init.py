"""autoadapt init: from nothing, or from a file of rows, to a task that passes the check."""

import importlib.util
import json
from pathlib import Path

import pytest
from conftest import call, labelled_rows


def test_without_data_the_example_is_copied_and_nothing_is_overwritten(tmp_path: Path) -> None:
    run = call("init", tmp_path / "new")
    assert run.returncode == 0, run.stderr
    assert f"next: autoadapt search {tmp_path / 'new' / 'task.yaml'}" in run.stdout
    assert call("check", tmp_path / "new" / "task.yaml").returncode == 0
    (tmp_path / "new" / "task.yaml").write_text("mine")
    again = call("init", tmp_path / "new")
    assert again.returncode == 2
    assert "already exists and is left as it is" in again.stderr
    assert (tmp_path / "new" / "task.yaml").read_text() == "mine"


def write_csv(path: Path, header: str, rows: list[tuple[str, str]]) -> Path:
    path.write_text(header + "\n" + "".join(f"{a},{b}\n" for a, b in rows))
    return path


def test_columns_and_metric_are_guessed_from_the_data(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "my rows.csv", "Message,Category", [(r["text"], r["label"]) for r in labelled_rows(90)])
    assert call("init", tmp_path, "--data", data).returncode == 0
    shown = call("check", tmp_path / "task.yaml", "--show").stdout
    assert "name: my-rows\n" in shown
    assert "input: Message" in shown
    assert "output: Category" in shown
    assert "metric: accuracy" in shown
    assert "- embedded" in shown


@pytest.mark.parametrize(
    ("answers", "metric"),
    [
        (["yes"] * 80 + ["no"] * 20, "macro_f1"),
        ([["yes", "no"][: i % 3] for i in range(100)], "micro_f1"),
        ([f"code {i}" for i in range(100)], "exact_match"),
        ([f"a whole sentence that is number {i}" for i in range(100)], "rouge_l"),
    ],
)
def test_the_metric_follows_from_the_answers(tmp_path: Path, answers: list[object], metric: str) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps({"prompt": f"text {i}", "completion": a}) + "\n" for i, a in enumerate(answers)))
    assert call("init", tmp_path, "--data", data).returncode == 0
    assert f"metric: {metric} " in (tmp_path / "task.yaml").read_text()


def test_unclear_columns_are_asked_for(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "rows.csv", "first,second", [(f"t{i}", "ab"[i % 2]) for i in range(60)])
    run = call("init", tmp_path, "--data", data)
    assert run.returncode == 3
    assert "which column holds the input? It has first, second. Say so with --input COLUMN." in run.stderr
    run = call("init", tmp_path, "--data", data, "--input", "frist", "--output", "second")
    assert run.returncode == 3
    assert "did you mean 'first'" in run.stderr
    assert not (tmp_path / "task.yaml").exists()
    assert call("init", tmp_path, "--data", data, "--input", "first", "--output", "second").returncode == 0


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("rows.csv", "text,label\na,b\n", "1 rows; give at least 20"),
        ("rows.txt", "x", "unknown kind of file"),
        ("rows.jsonl", "{", "not valid JSON"),
        ("absent.csv", None, "No such file"),
    ],
)
def test_data_that_cannot_be_used(tmp_path: Path, name: str, content: str | None, expected: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    run = call("init", tmp_path, "--data", tmp_path / name)
    assert run.returncode == 3
    assert expected in run.stderr
    assert "Traceback" not in run.stderr


def test_example_is_without_minilm_where_that_is_not_on_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOADAPT_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert call("init", tmp_path / "new").returncode == 0
    assert "models: [embedded]" in (tmp_path / "new" / "task.yaml").read_text()
    monkeypatch.undo()
    assert call("check", tmp_path / "new" / "task.yaml").returncode == 0
