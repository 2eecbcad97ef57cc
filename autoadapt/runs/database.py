"""The database that a task names by URL: opened, checked, and kept to one run folder for each study."""

import contextlib
import importlib.util
import json
import platform
import uuid
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage
from pydantic import ValidationError

from autoadapt.domain.storage_url import EXAMPLE, SCHEMES
from autoadapt.domain.strict import StrictModel
from autoadapt.domain.task import Task
from autoadapt.errors import Exit, UserError
from autoadapt.files import read_model, write_json
from autoadapt.registry import REFERENCE, expanded
from autoadapt.runs.outages import DatabaseAwayError, LastingStorage, Outages, UnansweredError
from autoadapt.runs.run_folder import REBUILT
from autoadapt.runs.storage import STORAGE_ERRORS, close_storage, load_trials, understood
from autoadapt.shown_text import fit_to_show

CONNECT_SECONDS = 5
KEEPALIVE = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""A server that has gone without a word is noticed after a minute; what the URL says instead counts."""
READ_ONLY = "25006"
"""SQLSTATE of a write on a server that only reads, as in the middle of a failover."""
MAY_WRITE = "select to_regclass('trials') is not null or has_schema_privilege(current_schema(), 'CREATE')"
OWNER = "autoadapt_run"
"""Attribute of a study: the run folder that it belongs to, and which question it answers."""
OWNER_FILE = "storage.json"
COPY_FILE = "study-copy.db"
"""Copy of the study in a run folder, in SQLite; there is none while a search runs, nor where one was killed."""
ATTEMPTS = 3
"""Two searches that begin in an empty database both make its tables; the second one finds them at its next attempt."""
HINTS = {
    "password authentication failed": "check the variable that holds the password",
    "no password supplied": f"write a reference to the variable that holds the password: {EXAMPLE}",
    "does not exist": "make the database and the role first (CREATE DATABASE, CREATE ROLE)",
    "no pg_hba.conf entry": "the server admits this user or this machine to no such database; ask its owner",
    "resolve": "check the name of the host",
    "not known": "check the name of the host",
    "refused": "check host and port, and whether the server runs",
    "No such file": "check the folder of the socket, and whether the server runs",
    "timeout expired": "check host and port, and whether a firewall is between",
}


class Owner(StrictModel):
    """The run folder that a study in a shared database belongs to."""

    run: str
    """Of the file `OWNER_FILE` in the run folder."""
    question: str
    """Hash of what may not change when a study is resumed."""
    place: str
    """Machine and path of the run folder when it was last searched."""


class OwnerFile(StrictModel):
    """What identifies a run folder wherever it is moved."""

    run: str


def open_database(address: str, outages: Outages) -> BaseStorage:
    """The storage of a database, in which Optuna's tables are made where there are none.

    Args:
        address: as in the task.
        outages: how outages are waited out once it is open.

    Raises:
        UserError: it cannot be used; exit 8, 4 where a package is missing, 2 where the address is wrong.
    """
    for attempt in range(1, ATTEMPTS + 1):
        pool = _connections(address)
        try:
            database = RDBStorage(f"{SCHEMES[0]}://", {"pool": pool, "hide_parameters": True})
            break
        except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            pool.dispose()
            if attempt == ATTEMPTS or isinstance(error, sqlalchemy.exc.OperationalError):
                raise unusable(address, error) from error
        except RuntimeError as error:  # Optuna's, about tables of another version
            pool.dispose()
            raise UserError(f"storage {address}: {error}", Exit.STORAGE) from error
    sqlalchemy.event.listen(database.engine, "handle_error", _say_unanswered)
    return LastingStorage(database, outages)


def check_database(address: str) -> str:
    """Connects once; returns the kind and version of the server.

    Args:
        address: as in the task.

    Raises:
        UserError: as of `open_database`.
    """
    engine = sqlalchemy.create_engine(f"{SCHEMES[0]}://", pool=_connections(address))
    try:
        with engine.connect() as connection:
            version = str(connection.execute(sqlalchemy.text("show server_version")).scalar())
            may_write = connection.execute(sqlalchemy.text(MAY_WRITE)).scalar()
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise unusable(address, error) from error
    finally:
        engine.dispose()
    if not may_write:
        raise UserError(
            f"storage {address}: its user may not make tables there; make it the owner of the database: "
            "ALTER DATABASE name OWNER TO name",
            Exit.STORAGE,
        )
    return f"PostgreSQL {version.split()[0]}"


def unusable(address: str, error: Exception, during_search: bool = False) -> UserError:
    """The message about a database that does not answer, or refuses.

    Args:
        address: as in the task.
        error: of SQLAlchemy or Optuna, or `DatabaseAwayError`.
        during_search: whether a search has begun, which can be resumed.
    """
    cause = first_line(error)
    hint = next((hint for words, hint in HINTS.items() if words in cause), "see what the server says")
    then = ". Finished trials are safe; run the same command to resume." if during_search else ""
    return UserError(f"storage {address}: {cause}; {hint}{then}", Exit.STORAGE)


def first_line(error: BaseException) -> str:
    """What is wrong with a database, in one line.

    Args:
        error: of SQLAlchemy or Optuna.
    """
    reason = (error.__cause__ or error) if isinstance(error, optuna.exceptions.StorageInternalError) else error
    lines = [line.strip(" -\t") for line in str(getattr(reason, "orig", None) or reason).splitlines()]
    words = next((line for line in lines if line and not line.startswith("Multiple connection attempts")), "")
    return fit_to_show(words or type(reason).__name__)


def _connections(address: str) -> sqlalchemy.QueuePool:
    """Connections to a database, each of which is tried before it is used again."""
    if importlib.util.find_spec("psycopg") is None:
        raise UserError(
            f"storage {address}: PostgreSQL needs a package that is not installed: pip install 'autoadapt[postgresql]'",
            Exit.ENVIRONMENT,
        )
    import psycopg

    url = _url(address)
    given, named = url.get_dialect()().create_connect_args(url)
    named = {**KEEPALIVE, **named}

    def connect() -> Any:
        return psycopg.connect(*given, **named)

    # a URL is no place for the password: Optuna formats it, and braces have a meaning there
    return sqlalchemy.QueuePool(connect, pre_ping=True)


def _url(address: str) -> sqlalchemy.URL:
    """The address with every reference replaced, each part by itself: a password may hold any character."""
    try:
        text = expanded(address) if address.startswith("${") else address
        if text != address and not REFERENCE.search(text):
            text = _with_scheme(text)
        url = sqlalchemy.make_url(text)
        parts = {
            name: expanded(value)
            for name in ("username", "password", "host", "database")
            if (value := getattr(url, name)) is not None
        }
        query = {name: expanded(list(v) if isinstance(v, tuple) else v) for name, v in url.query.items()}
    except UserError as error:
        raise UserError(f"storage {address}: {error}; export it before the search") from error
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise UserError(f"storage {address}: is no address of a database; write {EXAMPLE}") from error
    return url.set(drivername=SCHEMES[0], query=query, **parts)


def _with_scheme(text: str) -> str:
    """The address that a variable holds, which may stand there with its password.

    Raises:
        UserError: it is none of PostgreSQL.
    """
    scheme = text.partition("://")[0]
    if scheme not in (*SCHEMES, "postgres"):  # as some hosts of databases write it
        raise UserError(f"the variable holds no address that begins with {SCHEMES[0]}://")
    return SCHEMES[0] + text[len(scheme) :]


def _say_unanswered(context: sqlalchemy.engine.ExceptionContext) -> None:
    """Replaces errors after which the same may be asked again.

    Optuna repeats the making of a trial itself where it meets an error of SQLAlchemy, and so would make it twice where
    the reply to a commit was lost.
    """
    error = context.original_exception
    repeatable = context.is_disconnect or isinstance(context.sqlalchemy_exception, sqlalchemy.exc.OperationalError)
    if not context.is_pre_ping and (repeatable or getattr(error, "sqlstate", None) == READ_ONLY):
        raise UnansweredError(first_line(error))


def load_stored_trials(root: Path, address: str, name: str) -> list[optuna.trial.FrozenTrial]:
    """The trials of a study in a database: those of the copy that a search leaves when it ends, where it has ended.

    Args:
        root: the run folder.
        address: as in the task.
        name: of the study.

    Raises:
        UserError: neither can be read.
    """
    if (root / COPY_FILE).is_file():
        return load_trials(root / COPY_FILE, name)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_database(address, Outages(limit_seconds=0))
    try:
        study = optuna.load_study(study_name=name, storage=storage)
        return understood(study.get_trials(deepcopy=False))
    except KeyError as error:
        raise UserError(f"storage {address}: holds no study called '{name}'; {REBUILT}", Exit.STORAGE) from error
    except (*STORAGE_ERRORS, DatabaseAwayError) as error:
        raise unusable(address, error) from error
    finally:
        close_storage(storage)


# -- which run folder a study belongs to


@dataclass(frozen=True)
class SharedStorage:
    """A database that may hold studies of other run folders."""

    storage: BaseStorage
    owner: Owner
    """What `take_study` writes."""


def open_shared(task: Task, root: Path, identity: dict[str, Any], outages: Outages) -> SharedStorage:
    """Opens the database of a task for a search, and deletes the copy that an earlier search has left.

    Args:
        task: with `storage`.
        root: the run folder; its identifier is made where it has none.
        identity: of the task.
        outages: how outages are waited out.

    Raises:
        UserError: it cannot be used, or holds a study of another task or run folder under this name; exit 8.
    """
    storage = open_database(str(task.storage), outages)
    owner = _owner(root, identity)
    try:
        with contextlib.suppress(KeyError):
            study_id = storage.get_study_id_from_name(task.name)
            _check_same_owner(storage, study_id, owner, task.name, any((root / "trials").glob("*/*/job.json")))
    except BaseException:
        close_storage(storage)
        raise
    (root / COPY_FILE).unlink(missing_ok=True)
    return SharedStorage(storage, owner)


def _owner(root: Path, identity: dict[str, Any]) -> Owner:
    file = read_model(root / OWNER_FILE, OwnerFile)
    if file is None:
        file = OwnerFile(run=uuid.uuid4().hex)
        write_json(root / OWNER_FILE, file)
    question = sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    return Owner(run=file.run, question=question, place=f"{platform.node()}:{root.resolve()}")


def take_study(study: optuna.Study, ours: Owner) -> None:
    """Writes into a study which run folder it belongs to.

    Raises:
        UserError: another search took it first; exit 8.
    """
    study.set_user_attr(OWNER, ours.model_dump())
    _check_same_owner(study._storage, study._study_id, ours, study.study_name)


def _check_same_owner(storage: BaseStorage, study_id: int, ours: Owner, name: str, has_jobs: bool = False) -> None:
    """Refuses a study that is not ours.

    Args:
        storage: the database.
        study_id: of the study.
        ours: the run folder and its task.
        name: of the study.
        has_jobs: whether jobs stand in the run folder: then it is the same one if it is at the same place and has only
            lost the file that identifies it.
    """
    stored = storage.get_study_user_attrs(study_id).get(OWNER)
    if stored is None and not storage.get_all_trials(study_id, deepcopy=False):
        return  # a search was killed before it began
    try:
        owner = Owner.model_validate(stored)
    except ValidationError:
        raise _taken(name, "of another program") from None
    same_place, same_question = owner.place == ours.place, owner.question == ours.question
    if owner.run == ours.run or (same_place and same_question and has_jobs):
        return
    other = (
        "another task" if not same_question else "a run folder that was deleted" if same_place else "another run folder"
    )
    raise _taken(name, f"of {other} ({owner.place})")


def _taken(name: str, whose: str) -> UserError:
    return UserError(
        f"the database of storage holds a study '{name}' {whose}; set another `name:` (or --set name=...), or another "
        "database. To remove that study for good: optuna delete-study --study-name NAME --storage URL",
        Exit.STORAGE,
    )
