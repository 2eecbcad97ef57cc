"""Commands on one finished run: output paths that hold no regular file, hostile arguments, another configuration."""

import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import call
from scripted_task import write_scripted_task

SECRET = "AIza" + "b" * 30
"""Looks like a key, and is none."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of three options, in a folder whose name has a meaning in URLs of databases."""
    folder = tmp_path_factory.mktemp("finished") / "a?b#c%20d{e}f g"
    folder.mkdir()
    task = write_scripted_task(folder, methods=["prompt"], budget={"trials": 2}, search={"rungs": False})
    done = call("search", task, "--runs", folder / "runs")
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "fruits"


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of its options exported."""
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    assert call("export", run, folder).returncode == 0
    return folder


def test_runs_path_with_signs_of_urls_holds_its_database_and_resumes(run: Path) -> None:
    assert (run / "study.db").is_file()
    assert [path.name for path in run.parents[2].iterdir()] == [run.parents[1].name], "nothing is written beside it"
    task = run.parents[1] / "task.yaml"
    again = call("search", task, "--runs", run.parent, "--set", "budget.trials=3")
    assert again.returncode == 0, again.stderr
    assert "resumed: 2 trials were finished before" in again.stderr
    assert call("report", run).returncode == 0


def test_another_configuration_of_a_study_is_refused_with_the_difference(run: Path) -> None:
    again = call("search", run.parents[1] / "task.yaml", "--runs", run.parent, "--set", "metric=macro_f1")
    assert again.returncode == 2
    assert 'metric: was "accuracy", is "macro_f1"' in again.stderr
    assert "Undo the change to resume it, or set another `name:`" in again.stderr


# -- output paths

Special = Callable[[Path], object]


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket has at most 107 characters
        bound.bind(path.name)
        os.chdir(here)


SPECIAL: dict[str, tuple[Special, str]] = {
    "folder": (Path.mkdir, "it is a folder; name a regular file"),
    "pipe": (os.mkfifo, "it is a named pipe; name a regular file"),
    "socket": (listening, "it is a socket; name a regular file"),
    "link to a device": (lambda path: path.symlink_to("/dev/null"), "it is a device; name a regular file"),
    "circle of links": (lambda path: path.symlink_to(path), "it is a link that leads back to itself"),
}
WRITERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "report": (".html", ("report", "RUN", "--output")),
    "frontier, csv": (".csv", ("frontier", "RUN", "--export")),
    "frontier, json": (".json", ("frontier", "RUN", "--export")),
    "frontier, parquet": (".parquet", ("frontier", "RUN", "--export")),
    "frontier, figure": (".png", ("frontier", "RUN", "--figure")),
    "compare, page": (".html", ("compare", "RUN", "--scenario", "volume=1k", "--figure")),
    "compare, figure": (".svg", ("compare", "RUN", "--scenario", "volume=1k", "--figure")),
    "predict": (".jsonl", ("predict", "BUNDLE", "ROWS", "--output")),
    "serve": (".jsonl", ("serve", "BUNDLE", "--port", "0", "--log")),
}


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("writer", WRITERS)
def test_output_path_that_is_no_regular_file_is_refused_and_stays(
    run: Path, bundle: Path, tmp_path: Path, writer: str, special: str
) -> None:
    suffix, arguments = WRITERS[writer]
    make, said = SPECIAL[special]
    (tmp_path / "rows.jsonl").write_text('{"text": "a ripe apple"}\n')
    output = tmp_path / f"output{suffix}"
    make(output)
    before = os.lstat(output)
    places: dict[str, Any] = {"RUN": run, "BUNDLE": bundle, "ROWS": tmp_path / "rows.jsonl"}
    ended = call(*(places.get(argument, argument) for argument in arguments), output)
    assert ended.returncode == 2, ended.stderr
    assert f"{output}: {said}" in ended.stderr
    assert (os.lstat(output).st_ino, os.lstat(output).st_mode) == (before.st_ino, before.st_mode)
    assert {path.name for path in tmp_path.iterdir()} <= {"rows.jsonl", output.name}


def test_link_to_a_file_is_written_through(run: Path, tmp_path: Path) -> None:
    (tmp_path / "old.html").write_text("old")
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "old.html")
    assert call("report", run, "--output", link).returncode == 0
    assert stat.S_ISLNK(link.lstat().st_mode)
    assert (tmp_path / "old.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("report", "RUN", "--output", "."), 2, ".: it is a folder; name a file"),
        (("report", "RUN", "--output", ""), 2, "it is a folder; name a file"),
        (("report", "RUN", "--output", "no/x.html"), 4, "there is no folder no"),
        (("report", "RUN", "--output", "x" * 5000), 4, "cannot be written (File name too long)"),
        (("report", "x" * 5000), 2, "File name too long"),
        (("export", "RUN", "x" * 5000), 2, "File name too long"),
        (("export", "RUN", "a\0b"), 2, "embedded null byte"),
        (("init", "FILE"), 2, "is no folder; name a folder for the files"),
        (("init", "x" * 5000), 2, "File name too long"),
        (("search", "TASK", "--runs", "NEW", "--warm-start", "FILE"), 2, "there is no study (results.json is missing)"),
        (("search", "TASK", "--runs", "x" * 5000), 2, "File name too long"),
        (("predict", "~nobody-has-this-name/x", "FILE"), 3, "there is no bundle"),
        (("compare", "RUN", "--scenario", "volume=1e308"), 2, "volume: numbers here lie between 1e-15 and 1e15"),
        (("compare", "RUN", "--scenario", f"volume={'9' * 400}k"), 2, "and at most 1e15"),
        (("compare", "RUN", "--scenario", "price=2020-99-99"), 2, "put a text in quotes"),
        (("compare", "RUN", "--scenario", "volume=1,volume=2"), 2, "'volume' is given twice; keep one"),
        (("recommend", "RUN", "--weights", "quality=nan"), 2, "'nan' is not between 0 and 1e+09"),
        (("recommend", "RUN", "--weights", "quality=1e308,cost=1e308"), 2, "is not between 0 and 1e+09"),
        (("recommend", "RUN", "--weights", "quality=1,quality=2"), 2, "'quality' is given twice; keep one"),
        (("recommend", "RUN", "--latency-p95-ms", "nan"), 2, "latency_p95_ms: should be a finite number"),
        (("serve", "BUNDLE", "--seconds", "nan"), 2, "--seconds must be a number greater than 0"),
        (("serve", "BUNDLE", "--port", "99999"), 2, "less than or equal to 65535"),
        (("serve", "BUNDLE", "--host", "\x1b[31mx"), 2, "--host ?[31mx: other machines could reach it"),
        (("check", "\x1b[31mx"), 2, "?[31mx: no such file"),
        (("check", "TASK", f"--set=name={SECRET}"), 2, "looks like a secret"),
        (("check", "TASK", "--set", f"seed={SECRET}"), 2, "looks like a secret"),
        (("serve", "BUNDLE", "--port", SECRET), 2, "Invalid value for '--port'"),
        ((SECRET,), 2, "No such command '(a secret)'"),
        (("recommend", "RUN", "--weights", f"{SECRET}=1"), 2, "unknown '(a secret)'"),
    ],
)
def test_bad_argument_ends_in_one_message(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a file")
    places = {"RUN": run, "FILE": "file", "TASK": run.parents[1] / "task.yaml", "NEW": "new", "BUNDLE": "none"}
    ended = call(*(places.get(argument, argument) for argument in arguments))
    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr
    assert SECRET not in ended.stderr
    assert "\x1b" not in ended.stderr
    assert len(ended.stderr) < 1500
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing is begun"


TEXT = "a family \U0001f468\u200d\U0001f469 of \x1b[31mred\x9b figs"


def test_json_keeps_values_that_would_steer_the_terminal(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": TEXT}) + "\n")
    printed = call("predict", bundle, tmp_path / "rows.jsonl", "--quiet")
    assert printed.returncode == 0, printed.stderr
    assert "\x1b" not in printed.stdout
    assert json.loads(printed.stdout)["text"] == TEXT


def test_shown_task_keeps_labels_with_invisible_characters(run: Path, tmp_path: Path) -> None:
    task = (run.parents[1] / "task.yaml").read_text()
    label = "a\u200db"
    task = task.replace('"label"}}', f'"label"}}, "merge_labels": {{"fruit": "{label}"}}}}')
    (run.parents[1] / "shown.yaml").write_text(task)
    shown = call("check", run.parents[1] / "shown.yaml", "--show")
    assert shown.returncode == 0, shown.stderr
    (run.parents[1] / "again.yaml").write_text(shown.stdout)
    again = call("check", run.parents[1] / "again.yaml", "--show")
    assert again.stdout == shown.stdout
    assert "a?b" not in shown.stdout
