"""The Optuna study on disk."""

import sqlite3
from pathlib import Path

import optuna
import pytest

from autoadapt.errors import Exit, UserError
from autoadapt.runs import storage


def test_the_study_is_plain_and_writes_ahead(tmp_path: Path) -> None:
    study = storage.open_study(tmp_path / "study.db", "a study")
    study.enqueue_trial({"x": 0.5})
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    study.tell(trial, [0.5, 1.0, 2.0])
    again = optuna.load_study(study_name="a study", storage=f"sqlite:///{tmp_path}/study.db")
    assert again.trials[0].values == [0.5, 1.0, 2.0]
    assert [d.name for d in again.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
    with sqlite3.connect(tmp_path / "study.db") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_lock_that_is_held_too_long_ends_with_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LOCK_SECONDS", 1)
    storage.open_study(tmp_path / "study.db", "a study")
    holder = sqlite3.connect(tmp_path / "study.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(UserError, match="another program holds its lock") as caught:
            storage.open_study(tmp_path / "study.db", "another")
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert caught.value.code == Exit.STORAGE
    storage.open_study(tmp_path / "study.db", "another")


def test_a_damaged_file_ends_with_8(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(UserError) as caught:
        storage.open_study(tmp_path / "study.db", "a study")
    assert caught.value.code == Exit.STORAGE
