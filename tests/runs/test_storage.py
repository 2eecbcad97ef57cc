"""The Optuna study on disk."""

import contextlib
import sqlite3
import threading
import time
from pathlib import Path

import optuna
import pytest

from autoadapt.domain.objective import DEFAULT_GOALS, Goal
from autoadapt.errors import Exit, UserError
from autoadapt.runs import storage

TWO_GOALS = (DEFAULT_GOALS[2], Goal(name="energy_wh", direction="minimize", unit="Wh"))


def open_study(path: Path, name: str = "a study") -> optuna.Study:
    return storage.open_study(path / "study.db", name, DEFAULT_GOALS)


def test_study_is_a_plain_optuna_study(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    study.enqueue_trial({"x": 0.5})
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    study.tell(trial, [0.5, 1.0, 2.0])
    again = optuna.load_study(study_name="a study", storage=f"sqlite:///{tmp_path}/study.db")
    assert again.trials[0].values == [0.5, 1.0, 2.0]
    assert [d.name for d in again.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
    assert again.metric_names == [goal.name for goal in DEFAULT_GOALS]


def test_study_writes_ahead(tmp_path: Path) -> None:
    open_study(tmp_path)
    with sqlite3.connect(tmp_path / "study.db") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_study_of_two_objectives(tmp_path: Path) -> None:
    study = storage.open_study(tmp_path / "study.db", "a study", TWO_GOALS)
    assert [d.name for d in study.directions] == ["MINIMIZE", "MINIMIZE"]
    assert study.metric_names == ["latency_ms", "energy_wh"]


def test_lock_held_too_long_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LOCK_SECONDS", 1)
    open_study(tmp_path)
    holder = sqlite3.connect(tmp_path / "study.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(UserError, match="another program holds its lock") as caught:
            open_study(tmp_path, "another")
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert caught.value.code == Exit.STORAGE
    open_study(tmp_path, "another")


@pytest.mark.parametrize("damage", ["other", "half", "{}"])
def test_damaged_study_is_set_aside(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "study.db"
    for _ in range(3):
        open_study(tmp_path).ask()
    content = path.read_bytes()
    damaged = {"other": b"this is no database" * 100, "half": content[: len(content) // 2], "{}": b"{}"}[damage]
    path.write_bytes(damaged)
    for beside in tmp_path.glob("study.db-*"):
        beside.unlink()
    with pytest.raises(UserError, match=r"damaged .*; run `autoadapt search` on its task again") as caught:
        storage.load_trials(path, "a study")
    assert caught.value.code == Exit.STORAGE
    assert open_study(tmp_path).get_trials() == []
    assert (tmp_path / "study.db.corrupt").read_bytes() == damaged


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trial_values SET value_type = 'odd'",
        "UPDATE trial_params SET param_value = NULL",
        "UPDATE trial_params SET distribution_json = '{'",
        "UPDATE trial_user_attributes SET value_json = -1",
    ],
)
def test_study_that_optuna_does_not_understand_is_set_aside(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "study.db"
    study = open_study(tmp_path)
    trial = study.ask()
    trial.suggest_categorical("x", [1, 2])
    trial.set_user_attr("ended", "stopped")
    study.tell(trial, [0.5, 1.0, 2.0])
    storage.close_study(study)
    with sqlite3.connect(path) as database:
        database.execute(statement)
    with pytest.raises(UserError, match=r"damaged .*; run `autoadapt search` on its task again") as caught:
        storage.load_trials(path, "a study")
    assert caught.value.code == Exit.STORAGE
    assert open_study(tmp_path).get_trials() == []
    assert (tmp_path / "study.db.corrupt").exists()


def test_study_of_another_version_of_optuna_stays(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    storage.close_study(open_study(tmp_path))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = 'v99'")
    for use in (lambda: storage.load_trials(path, "a study"), lambda: open_study(tmp_path)):
        with pytest.raises(UserError, match="no longer compatible with the table schema") as caught:
            use()
        assert caught.value.code == Exit.STORAGE
    assert path.exists()


def test_study_of_a_renamed_folder_is_found(tmp_path: Path) -> None:
    open_study(tmp_path).ask()
    assert len(open_study(tmp_path, "another").get_trials()) == 1
    assert len(storage.load_trials(tmp_path / "study.db", "a third")) == 1


def test_trials_of_a_running_study(tmp_path: Path) -> None:
    open_study(tmp_path).ask()
    (trial,) = storage.load_trials(tmp_path / "study.db", "a study")
    assert trial.state == optuna.trial.TrialState.RUNNING


@pytest.mark.parametrize("name", ["another", "a study"])
def test_missing_study_error(tmp_path: Path, name: str) -> None:
    if name == "another":
        sqlite3.connect(tmp_path / "study.db").execute("create table t (i)")
    with pytest.raises(UserError, match=r"holds no study called 'another'|there is no study") as caught:
        storage.load_trials(tmp_path / "study.db", name)
    assert caught.value.code == Exit.STORAGE


def hold_lock(path: Path, seconds: float) -> threading.Thread:
    """Locks a database against all others for so long, from another thread; returns when it is locked."""
    locked = threading.Event()

    def hold() -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            locked.set()
            time.sleep(seconds)
            holder.execute("ROLLBACK")

    thread = threading.Thread(target=hold)
    thread.start()
    locked.wait()
    return thread


@pytest.mark.parametrize("seconds", [1.5, pytest.param(30, marks=pytest.mark.slow)])
def test_write_waits_for_the_lock_of_another_writer(tmp_path: Path, seconds: float) -> None:
    study = open_study(tmp_path)
    trial = study.ask()
    holder = hold_lock(tmp_path / "study.db", seconds)
    study.tell(trial, [0.5, 1.0, 2.0])
    study.ask()
    holder.join()
    assert [t.state.name for t in storage.load_trials(tmp_path / "study.db", "a study")] == ["COMPLETE", "RUNNING"]


@pytest.mark.slow
def test_lock_held_for_longer_than_a_minute_error(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    trial = study.ask()
    holder = hold_lock(tmp_path / "study.db", 90)
    with pytest.raises(storage.STORAGE_ERRORS) as caught:
        study.tell(trial, [0.5, 1.0, 2.0])
    assert storage.storage_error(tmp_path / "study.db", caught.value).code == Exit.STORAGE
    holder.join()
    study.tell(trial, [0.5, 1.0, 2.0])
    assert [t.values for t in storage.load_trials(tmp_path / "study.db", "a study")] == [[0.5, 1.0, 2.0]]


@pytest.mark.parametrize("trials", [15, pytest.param(1000, marks=pytest.mark.slow)])
def test_readers_block_no_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trials: int) -> None:
    monkeypatch.setattr(storage, "LOCK_SECONDS", 1)  # a write that waits for longer fails
    study, ended = open_study(tmp_path), threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not ended.is_set():
            seen.append(len(storage.load_trials(tmp_path / "study.db", "a study")))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(trials):
            study.tell(study.ask(), [0.5, 1.0, 2.0])
    finally:
        ended.set()
        for reader in readers:
            reader.join()
    assert len(study.get_trials()) == trials
    assert seen
