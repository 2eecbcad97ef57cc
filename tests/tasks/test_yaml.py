"""YAML files: wrong ones end in one message with file, line, key and the nearest right name, within seconds."""

import os
import time
from pathlib import Path

import pytest

from autoadapt.domain.scenario import Scenarios
from autoadapt.domain.space import SearchSpace
from autoadapt.domain.task import Task
from autoadapt.errors import UserError
from autoadapt.tasks.parsing import parse, to_yaml
from autoadapt.tasks.yaml_document import Document

GOOD = """\
name: a
data: {path: data.jsonl}
metric: accuracy
models: [m]
budget: {trials: 5}
economics: {usd_per_hour: 2.69}
"""


def read(path: Path, text: str | bytes, *overrides: str) -> Task:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return parse(Document(path), Task, overrides)


def message(tmp_path: Path, text: str | bytes, *overrides: str) -> str:
    started = time.monotonic()
    with pytest.raises(UserError) as caught:
        read(tmp_path / "task.yaml", text, *overrides)
    assert time.monotonic() - started < 5
    return str(caught.value)


def test_valid_task_file(tmp_path: Path) -> None:
    task = read(tmp_path / "t.yaml", GOOD)
    assert str(task.economics.usd_per_hour) == "2.69"
    assert read(tmp_path / "t.yaml", b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()) == task
    assert read(tmp_path / "u.yaml", to_yaml(task)) == task


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("- a\n- b\n", "holds a list"),
        (GOOD + "metirc: x\n", "line 7, metirc: unknown key; did you mean 'metric'?"),
        (
            GOOD.replace("usd_per_hour", "usd_per_hours"),
            "line 6, economics.usd_per_hours: unknown key; did you mean 'usd_per_hour'",
        ),
        (GOOD + "metric: accuracy\n", "line 7: 'metric' is given twice, first in line 3; keep one"),
        (GOOD.replace("{trials: 5}", "{trials: true}"), "line 5, budget.trials: should be a valid integer, not True"),
        (
            GOOD.replace("{trials: 5}", "{trials: 0}"),
            "line 5, budget.trials: should be greater than or equal to 1, not 0",
        ),
        (GOOD.replace("{trials: 5}", "{trials: '5'}"), "budget.trials"),
        (GOOD.replace("{trials: 5}", "{usd: -1}"), "line 5, budget.usd"),
        (GOOD.replace("{trials: 5}", "{usd: 0}"), "usd must be greater than 0"),
        (GOOD.replace("{trials: 5}", "{hours: .inf}"), "line 5, budget.hours"),
        (GOOD.replace("{trials: 5}", "{hours: .nan}"), "line 5, budget.hours"),
        (GOOD.replace("{trials: 5}", "{}"), "give at least one of trials, hours, device_hours, usd"),
        (GOOD.replace("2.69", "abc"), "line 6, economics.usd_per_hour"),
        (GOOD.replace("budget: {trials: 5}\n", ""), "budget: missing; add it"),
        (GOOD.replace("models: [m]", "models: []"), "line 4, models"),
        (GOOD.replace("models: [m]", "models: [m, m]"), "names m more than once"),
        (GOOD.replace("path: data.jsonl", "path: a, train: b"), "line 2, data: give either `path`"),
        (GOOD.replace("path: data.jsonl", "path: a, test: b"), "`path` is split for you"),
        (GOOD.replace("name: a", "name: ../../etc"), "line 1, name: must be 1 to 64 letters"),
        (GOOD.replace("name: a", "name: " + "x" * 300), "line 1, name"),
        (GOOD.replace("name: a", "name: CON"), "reserved device name"),
        (GOOD + "version: 9\n", "line 7, version"),
        (GOOD + "seed: -1\n", "line 7, seed"),
        (GOOD.replace("name: a", "name:\n\t- a"), "indent with spaces, not tabs"),
        (GOOD + "x: !!python/object/apply:os.system [ls]\n", "tags (!name) are not used here"),
        (GOOD + "a: &a [1]\nb: *a\n", "line 7: anchors (&name) and aliases (*name) are not used here"),
        (GOOD + "x: " + "[" * 5000 + "]" * 5000, "line 7: nested more than 20 levels deep"),
        (
            GOOD + "".join("  " * i + "k:\n" for i in range(400)) + "  " * 400 + "k: 1\n",
            "nested more than 20 levels deep",
        ),
        ("a: [", "not valid YAML"),
        (b"name: \xff\xfe", "not UTF-8 (byte 6)"),
        (b"#" * 50_000_000, "larger than 500,000 bytes"),
        (GOOD.replace("models: [m]", "models: [sk-abcdefghijklmnop1234]"), "looks like a secret"),
        (
            GOOD.replace("models: [m]", "models: ['${AUTOADAPT_NOT_SET}']"),
            "line 4: the environment variable AUTOADAPT_NOT_SET is not set",
        ),
    ],
)
def test_invalid_task_file_message(tmp_path: Path, text: str | bytes, expected: str) -> None:
    said = message(tmp_path, text)
    assert expected in said
    assert len(said.splitlines()) == 1, said
    assert str(tmp_path / "task.yaml") in said
    assert "sk-abc" not in said


@pytest.mark.parametrize("key", ["name", "models", "data"])
def test_half_a_character_is_refused_wherever_it_stands(tmp_path: Path, key: str) -> None:
    line = next(i for i, text in enumerate(GOOD.splitlines(), 1) if text.startswith(key))
    text = GOOD.replace(f"{key}:", f'"{key}\\udc00":')
    assert f"line {line}: half of a character" in message(tmp_path, text)


def test_a_character_that_json_writes_as_two_escapes_is_one(tmp_path: Path) -> None:
    task = read(tmp_path / "t.yaml", GOOD.replace("data: {", 'data: {labels: ["\\ud83d\\ude00", b], '))
    assert task.data.labels == ["\U0001f600", "b"]


@pytest.mark.parametrize("text", ["1, ", "{}, ", "!!str a, "])
def test_many_values_are_refused_by_their_number(tmp_path: Path, text: str) -> None:
    assert "line 7: more than 10,000 keys and values" in message(tmp_path, GOOD + f"x: [{text * 40_000}]\n")


def test_alias_bomb_message(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x,x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1},*a{i - 1}]\n" for i in range(1, 40))
    assert "aliases" in message(tmp_path, bomb)


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "zero", "loop"])
def test_path_that_is_no_regular_file(tmp_path: Path, kind: str) -> None:
    (tmp_path / "task.yaml").write_text(GOOD)
    path = tmp_path / "tsk.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "zero":
        path = Path("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
    with pytest.raises(UserError) as caught:
        Document(path)
    if kind == "missing":
        assert f"did you mean {tmp_path / 'task.yaml'}?" in str(caught.value)


def test_labels_stay_text(tmp_path: Path) -> None:
    task = read(
        tmp_path / "t.yaml", GOOD.replace("{path: data.jsonl}", "{path: d.csv, labels: [NO, on, 1.0, 012, 12:30]}")
    )
    assert task.data.labels == ["NO", "on", "1.0", "012", "12:30"]


def test_environment_reference_stays_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOADAPT_TEST_MODELS", "/some/where")
    models = read(tmp_path / "t.yaml", GOOD.replace("[m]", "['${AUTOADAPT_TEST_MODELS}/m']")).models
    assert models == ["${AUTOADAPT_TEST_MODELS}/m"]


def test_overrides(tmp_path: Path) -> None:
    task = read(tmp_path / "t.yaml", GOOD, "budget.trials=7", "constraints.quality=0.5", "methods=[lora]")
    assert (task.budget.trials, task.constraints.quality, task.methods) == (7, 0.5, ["lora"])


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("budget.trials", "write it as key.key=value"),
        ("budget.trails=3", "--set budget.trails: unknown key; did you mean 'trials'?"),
        ("name.x=3", "'name' is a single value"),
        ("budget.trials=many", "--set budget.trials: should be a valid integer, not 'many'"),
    ],
)
def test_invalid_override_message(tmp_path: Path, override: str, expected: str) -> None:
    assert expected in message(tmp_path, GOOD, override)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{low: 5, high: 1}", "low 5 is greater than high 1"),
        ("{low: 0, high: 1, log: true}", "a log range must begin above 0"),
        ("[]", "at least 1 item"),
        ("{low: 1, hihg: 2}", "unknown key 'hihg'"),
        ("[1, 1]", "lists a choice twice"),
        ("{low: 1, high: 2, step: 1, log: true}", "either log or step"),
        ("{search: [1], wenn: {x: 1}}", "unknown key 'wenn'"),
    ],
)
def test_invalid_range_message(tmp_path: Path, line: str, expected: str) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(
        "templates: {a: '{{ input }}'}\ninstructions: {n: ''}\nshared: {template: [a], instruction: [n]}\n"
        f"branches:\n  lora:\n    r: {line}\n"
    )
    with pytest.raises(UserError) as caught:
        parse(Document(file), SearchSpace)
    assert expected in str(caught.value)
    assert "line 6, branches.lora.r" in str(caught.value)


@pytest.mark.parametrize("old", ["p95", "max_p95", "promise", "promise_ms"])
def test_renamed_key_message_names_the_new_key(tmp_path: Path, old: str) -> None:
    file = tmp_path / "scenarios.yaml"
    file.write_text(f"scenarios:\n  fast:\n    volume: 1000\n    {old}: 400\n")
    with pytest.raises(UserError) as caught:
        parse(Document(file), Scenarios)
    assert str(caught.value) == (
        f"{file}, line 4, scenarios.fast.{old}: this key is called 'latency_p95_ms' now; rename it"
    )


def test_renamed_key_message_of_a_task(tmp_path: Path) -> None:
    text = message(tmp_path, GOOD + "constraints: {p95: 400}\n")
    assert "line 7, constraints.p95: this key is called 'latency_p95_ms' now; rename it" in text
