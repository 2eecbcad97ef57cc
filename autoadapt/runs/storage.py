"""The Optuna study: plain, multi-objective, in SQLite or a database; optuna-dashboard opens it as it is."""

import contextlib
import os
import sqlite3
import urllib.parse
import warnings
from collections.abc import Sequence
from pathlib import Path

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.objective import Goal
from autoadapt.errors import Exit, UserError
from autoadapt.runs.run_folder import REBUILT

LOCK_SECONDS = 60
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""Primary error codes of SQLite that say that a file is no whole database."""
UNWRITABLE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)
"""Those that say that it cannot be written, or not be made."""
STORAGE_ERRORS = (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError)


def open_study(path: Path, name: str, goals: Sequence[Goal], storage: BaseStorage | None = None) -> optuna.Study:
    """The study of that file (or other storage, under exactly that name), made where there is none.

    SQLite waits for another writer's lock (60 s) and writes ahead (WAL), so that a dashboard may read meanwhile. A
    damaged file is set aside as ``study.db.corrupt``: the run folder holds what was measured. A file that holds one
    study of another name is that of a run folder that was renamed.

    Raises:
        UserError: the file cannot be used; exit 8. What another storage raises is not caught.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if storage is not None:
        return _study_in(storage, name, goals)
    try:
        if path.is_file() and _is_damaged(path):
            _set_aside(path)
        try:
            return _study_of(path, name, goals)
        except Exception as error:
            if not _is_content_error(error):
                raise
            _set_aside(path)
        return _study_of(path, name, goals)
    except STORAGE_ERRORS as error:
        raise storage_error(path, error) from error
    except RuntimeError as error:
        raise _other_version(path, error) from error


def _study_of(path: Path, name: str, goals: Sequence[Goal]) -> optuna.Study:
    storage = _file(path)
    return _study_in(storage, _name_in(storage, name), goals)


def _study_in(storage: BaseStorage, name: str, goals: Sequence[Goal]) -> optuna.Study:
    """The study of a storage, made where there is none, all of which can be read."""
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=[goal.direction for goal in goals],
        load_if_exists=True,
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([goal.name for goal in goals])
        understood(study.get_trials(deepcopy=False))
    except Exception:
        close_study(study)
        raise
    return study


def understood(trials: list[optuna.trial.FrozenTrial]) -> list[optuna.trial.FrozenTrial]:
    """The trials, whose attributes are what a search writes.

    Raises:
        ValueError: one is not.
    """
    for trial in trials:
        if (candidate := trial.user_attrs.get("candidate")) is not None:
            Candidate.model_validate(candidate)
        for key in ("failure", "ended", "stopped_by"):
            if not isinstance(trial.user_attrs.get(key), str | None):
                raise ValueError(f"{key} of trial {trial.number} is no text")
    return trials


def close_study(study: optuna.Study) -> None:
    """Closes the file or the connections of a study; it may be used again."""
    close_storage(study._storage)


def close_storage(storage: BaseStorage) -> None:
    """Closes the file or the connections of a storage; it may be used again."""
    storage.remove_session()
    backend = getattr(storage, "_backend", storage)
    if isinstance(backend, RDBStorage):
        backend.engine.dispose()


def load_trials(path: Path, name: str) -> list[optuna.trial.FrozenTrial]:
    """The trials of a study that may be running; nothing is written.

    Raises:
        UserError: the file cannot be used; exit 8.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not path.is_file():
        raise UserError(f"{path}: there is no study; {REBUILT}", Exit.STORAGE)
    try:
        return _trials_in(path, name)
    except KeyError as error:
        raise UserError(f"{path}: holds no study called '{name}'; {REBUILT}", Exit.STORAGE) from error
    except STORAGE_ERRORS as error:
        raise storage_error(path, error) from error
    except RuntimeError as error:
        raise _other_version(path, error) from error
    except Exception as error:
        if not _is_content_error(error):
            raise
        raise UserError(f"{path}: damaged ({type(error).__name__}: {error}); {REBUILT}", Exit.STORAGE) from error


def _trials_in(path: Path, name: str) -> list[optuna.trial.FrozenTrial]:
    """The trials of a study; an error is whatever Optuna raises over the file or over what it holds."""
    storage = _file(path, read_only=not os.access(path.parent, os.W_OK))
    study = optuna.load_study(study_name=_name_in(storage, name), storage=storage)
    try:
        return understood(study.get_trials(deepcopy=False))
    finally:
        close_study(study)


def _is_content_error(error: Exception) -> bool:
    """Whether Optuna does not understand what a whole database holds.

    It has no error of its own for that: it raises what its code runs into, such as ValueError or AssertionError.
    """
    return not isinstance(error, (*STORAGE_ERRORS, RuntimeError, OSError, MemoryError))


def _other_version(path: Path, error: RuntimeError) -> UserError:
    """The message about tables of another version of Optuna, for which it has no error of its own."""
    return UserError(f"{path}: {error} Or rename the file and {REBUILT}.", Exit.STORAGE)


def write_copy(study: optuna.Study, path: Path) -> None:
    """Writes a study of another storage into a file of SQLite, whole or not at all.

    Without room on the disk there is none.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(":memory:", check_same_thread=False)) as memory:
        engine = {"creator": lambda: memory, "poolclass": sqlalchemy.StaticPool}
        optuna.copy_study(
            from_study_name=study.study_name,
            from_storage=study._storage,
            to_storage=RDBStorage("sqlite://", engine_kwargs=engine),
        )
        try:
            with contextlib.closing(sqlite3.connect(part)) as file:
                memory.backup(file)
            part.replace(path)
        except (sqlite3.Error, OSError):
            part.unlink(missing_ok=True)


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


def _file(path: Path, read_only: bool = False) -> RDBStorage:
    """The database in a file.

    Args:
        path: of the file.
        read_only: on a disk that cannot be written: SQLite takes the file as it stands, for it cannot keep beside it
            what readers and writers share.
    """
    address = f"file:{urllib.parse.quote(str(path.resolve()))}{'?immutable=1' if read_only else ''}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(address, timeout=LOCK_SECONDS, check_same_thread=False, uri=True)

    # a path cannot stand in the URL of SQLAlchemy, in which ?, #, % and braces have meanings of their own
    storage = RDBStorage("sqlite:///study.db", engine_kwargs={"creator": connect})
    if not read_only:
        with storage.engine.connect() as connection:
            connection.execute(sqlalchemy.text("PRAGMA journal_mode=WAL"))
    return storage


def _name_in(storage: BaseStorage, name: str) -> str:
    """The name of the only study that a storage holds; the name asked for where it holds that one, several or none."""
    names = optuna.get_all_study_names(storage)
    return names[0] if len(names) == 1 else name


def _set_aside(path: Path) -> None:
    """Renames a damaged file, with what SQLite keeps beside it."""
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + end).replace(path.with_name(path.name + end + ".corrupt"))


def _is_damaged(path: Path) -> bool:
    """Whether a file is no whole database; one that another program has locked is not looked into."""
    with contextlib.closing(sqlite3.connect(path, timeout=1)) as database:
        try:
            return bool(database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
        except sqlite3.DatabaseError as error:
            return _primary_code(error) in DAMAGED


def _primary_code(error: object) -> int:
    """SQLite's primary code of an error; 0: it is none of SQLite's."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF if isinstance(error, sqlite3.Error) else 0


def storage_error(path: Path, error: Exception) -> UserError:
    """The message about a database that does not answer."""
    reason = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
    cause = str(getattr(reason, "orig", None) or reason).splitlines()[0]
    code = _primary_code(getattr(reason, "orig", None))
    if code in DAMAGED or "no such table" in cause:
        return UserError(f"{path}: damaged ({cause}); {REBUILT}", Exit.STORAGE)
    if code in UNWRITABLE:
        hint = "make room, or allow writing there, and run the same command again"
        return UserError(f"{path}: {cause}; {hint}. Finished trials are safe.", Exit.ENVIRONMENT)
    hint = "another program holds its lock" if "locked" in cause else "see whether the file can be read and written"
    return UserError(
        f"{path}: {cause}; {hint}. Finished trials are safe; run the same command to resume.", Exit.STORAGE
    )


def reopened(study: optuna.Study, frozen: optuna.trial.FrozenTrial) -> optuna.Trial:
    """A trial that an earlier run left running; asking it again gives its stored parameters."""
    return optuna.Trial(study, frozen._trial_id)
