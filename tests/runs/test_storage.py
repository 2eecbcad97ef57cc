"""The Optuna study on disk."""

import sqlite3
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
