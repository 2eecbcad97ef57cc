"""The Optuna study: plain, multi-objective, in SQLite; optuna-dashboard opens it as it is."""

import sqlite3
import warnings
from collections.abc import Sequence
from pathlib import Path

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage

from autoadapt.domain.objective import Goal
from autoadapt.errors import Exit, UserError

LOCK_SECONDS = 60
STORAGE_ERRORS = (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError)


def open_study(path: Path, name: str, goals: Sequence[Goal], storage: BaseStorage | None = None) -> optuna.Study:
    """The study of that file (or other storage), made where there is none.

    SQLite waits for another writer's lock (60 s) and writes ahead (WAL), so that a dashboard may read meanwhile.

    Raises:
        UserError: the file cannot be used; exit 8.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            storage=storage or _file(path),
            study_name=name,
            directions=[goal.direction for goal in goals],
            load_if_exists=True,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([goal.name for goal in goals])
    except STORAGE_ERRORS as error:
        raise storage_error(path, error) from error
    return study


def load_trials(path: Path, name: str) -> list[optuna.trial.FrozenTrial]:
    """The trials of a study that may be running; nothing is written.

    Raises:
        UserError: the file cannot be used; exit 8.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not path.is_file():
        raise UserError(f"{path}: there is no study", Exit.STORAGE)
    try:
        return optuna.load_study(study_name=name, storage=_file(path)).get_trials(deepcopy=False)
    except KeyError as error:
        raise UserError(f"{path}: holds no study called '{name}'", Exit.STORAGE) from error
    except STORAGE_ERRORS as error:
        raise storage_error(path, error) from error


NOTE_LENGTH = 2000
"""Characters of a note: optuna-dashboard keeps so many in one attribute."""


def write_note(study: optuna.Study, text: str, trial: optuna.Trial | None = None) -> None:
    """Puts a note (Markdown) where optuna-dashboard shows it; one that is there stays.

    Args:
        study: the study.
        text: cut to 2,000 characters.
        trial: whose note it is; None: the study's.
    """
    storage, study_id = study._storage, study._study_id
    prefix = "dashboard:" if trial is None else f"dashboard:{trial._trial_id}:"
    if trial is None and f"{prefix}note_ver" in storage.get_study_system_attrs(study_id):
        return
    storage.set_study_system_attr(study_id, f"{prefix}note_str:0", text[:NOTE_LENGTH])
    storage.set_study_system_attr(study_id, f"{prefix}note_ver", 1)


def _file(path: Path) -> RDBStorage:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=LOCK_SECONDS, check_same_thread=False)

    # a path cannot stand in the URL, in which ?, #, % and braces have meanings of their own
    storage = RDBStorage("sqlite:///study.db", engine_kwargs={"creator": connect})
    with storage.engine.connect() as connection:
        connection.execute(sqlalchemy.text("PRAGMA journal_mode=WAL"))
    return storage


def storage_error(path: Path, error: Exception) -> UserError:
    """The message about a database that does not answer."""
    reason = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
    cause = str(getattr(reason, "orig", None) or reason).splitlines()[0]
    hint = "another program holds its lock" if "locked" in cause else "see whether the disk is full or the file damaged"
    return UserError(
        f"{path}: {cause}; {hint}. Finished trials are safe; run the same command to resume.", Exit.STORAGE
    )


def reopened(study: optuna.Study, frozen: optuna.trial.FrozenTrial) -> optuna.Trial:
    """A trial that an earlier run left running; asking it again gives its stored parameters."""
    return optuna.Trial(study, frozen._trial_id)
