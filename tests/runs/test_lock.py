"""The lock file: what may not change when a study is resumed."""

import json
import platform
from pathlib import Path
from typing import Any

import optuna
import pytest
from scripted_task import write_scripted_task

from autoadapt.domain.jobs import Devices, Fidelity
from autoadapt.errors import Exit, UserError
from autoadapt.runs.lock import LOCK_FILE, changed_versions, check_same, read_lock, write_lock
from autoadapt.runs.run_folder import RunFolder
from autoadapt.tasks.resolve import ResolvedTask, resolve

FULL = Fidelity(rows=36, steps=1.0, latency_requests=10)
DEVICES = Devices(kind="a CPU", count=1, accelerator="cpu")


def resolved(folder: Path, **changes: Any) -> ResolvedTask:
    return resolve(write_scripted_task(folder, **changes))


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """The lock file of a task."""
    write_lock(tmp_path / LOCK_FILE, resolved(tmp_path), DEVICES, 2)
    return tmp_path / LOCK_FILE


def test_no_lock_file(tmp_path: Path) -> None:
    assert read_lock(tmp_path / LOCK_FILE) is None
    check_same(tmp_path / LOCK_FILE, resolved(tmp_path))


def test_unchanged_task_is_resumed(tmp_path: Path, lock: Path) -> None:
    check_same(lock, resolved(tmp_path))


@pytest.mark.parametrize(
    "changes",
    [
        {"budget": {"trials": 99}},
        {"economics": {"usd_per_hour": 9}},
        {"constraints": {"quality": 0.5}},
        {"search": {"sampler": "random"}},
        {"compute": {"slots": 1}},
    ],
)
def test_budget_prices_and_constraints_may_change(tmp_path: Path, lock: Path, changes: dict[str, Any]) -> None:
    check_same(lock, resolved(tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"metric": "macro_f1"}, '  metric: was "accuracy", is "macro_f1"'),
        ({"objectives": ["quality", "energy_wh"]}, "  objectives: was "),
        ({"methods": ["prompt"]}, '  methods: was ["prompt", "lora", "full"], is ["prompt"]'),
        ({"seed": 5}, "  seed: was 0, is 5"),
        ({"models": ["scripted:quality=0.1"]}, "  models: was "),
        ({"metric": {"judged_accuracy": {"judge": "x"}}}, "  metric: was "),
    ],
)
def test_changed_question_error(tmp_path: Path, lock: Path, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        check_same(lock, resolved(tmp_path, **changes))
    assert expected in str(caught.value)
    assert "set another `name:`" in str(caught.value)
    assert caught.value.code == Exit.CONFIG


def test_changed_data_error(tmp_path: Path, lock: Path) -> None:
    with pytest.raises(UserError, match="  data") as caught:
        check_same(lock, resolved(tmp_path, rows=150))
    assert caught.value.code == Exit.DATA


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '"text"', "[" * 100_000, "{}", '{"identity": 5}', '{"identity": {}}']
)
def test_damaged_lock_file_is_set_aside(tmp_path: Path, lock: Path, content: str) -> None:
    task = resolved(tmp_path)
    lock.write_text(content)
    check_same(lock, task)
    assert not lock.exists()
    assert (tmp_path / f"{LOCK_FILE}.corrupt").read_text() == content


def test_frozen_rows_say_what_a_lost_lock_file_would(tmp_path: Path) -> None:
    task = resolved(tmp_path)
    task.splits.write(tmp_path / "data")
    frozen = tmp_path / "data" / "test.jsonl"
    frozen.write_text("".join(frozen.read_text().splitlines(keepends=True)[:5]) + '{"id": 3')
    check_same(tmp_path / LOCK_FILE, task)
    with pytest.raises(UserError, match=r"  data\.train: holds other rows") as caught:
        check_same(tmp_path / LOCK_FILE, resolved(tmp_path, rows=150))
    assert caught.value.code == Exit.DATA


def test_jobs_say_what_a_lost_lock_file_would(tmp_path: Path) -> None:
    task = resolved(tmp_path)
    folder = RunFolder(tmp_path)
    folder.prepare(task.fit_job(3, task.space.default("prompt", "scripted"), 0, FULL))
    check_same(tmp_path / LOCK_FILE, task)
    with pytest.raises(UserError, match=r"  metric: was .*\n  seed of a trial: was ") as caught:
        check_same(tmp_path / LOCK_FILE, resolved(tmp_path, metric="macro_f1", seed=5))
    assert caught.value.code == Exit.CONFIG


def test_lock_file_is_yaml_with_every_default(lock: Path) -> None:
    content = json.loads(lock.read_text())
    assert content["task"]["evaluation"]["seeds"] == 1
    assert content["hardware"] == {**DEVICES.model_dump(mode="json"), "slots": 2}
    assert content["models"]["scripted"] == {"family": "scripted", "location": ""}


def test_changed_versions_are_named(lock: Path) -> None:
    content = json.loads(lock.read_text())
    assert changed_versions(content) == []
    content["versions"] |= {"optuna": "1.0", "python": "3.1.4", "deepspeed": None}
    now = optuna.__version__, platform.python_version()
    assert changed_versions(content) == [f"optuna 1.0, now {now[0]}", f"python 3.1.4, now {now[1]}"]
    assert changed_versions({"versions": 5}) == changed_versions({}) == []
