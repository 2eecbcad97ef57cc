"""What the jobs of a run share about servers: answers that were paid for, money under way, and what servers can do.

One SQLite file in the run folder, with a rollback journal, which works on a file system that several machines share (a
write-ahead log does not). An answer is kept under the SHA-256 of everything that was sent, so that a resumed or
repeated job finds it. Money is reserved before a request is sent and settled after it, in transactions, so that all
workers together stay under the cap.
"""

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autoadapt.domain.strict import StrictModel
from autoadapt.providers.replies import Reply

STORE_FILE = "answers.db"
WAIT_SECONDS = 60.0
TABLES = """
create table if not exists answers (key text primary key, answer text not null);
create table if not exists money (
    id integer primary key, job text not null, usd real not null, estimated integer not null, open integer not null
);
create index if not exists money_job on money (job);
create table if not exists servers (key text primary key, features text not null);
"""


class KeptAnswer(StrictModel):
    """An answer that was paid for."""

    reply: Reply
    usd: float
    """Billed for it, failed attempts included."""
    usd_estimated: bool
    seconds: float
    """From the first attempt until it was whole, as the client saw it."""
    busy_seconds: float = 0.0
    """The request's share of the time in which the server was busy with this client."""
    retries: int = 0


class OutOfMoneyError(Exception):
    """The next request may cost more than is left of the budget."""


class AnswerStore:
    """The store of a run.

    Args:
        folder: of the run; None keeps everything in memory, for an option that answers outside of any run.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / STORE_FILE
        try:
            self._database = self._opened()
        except sqlite3.DatabaseError as error:
            if self._path is None or isinstance(error, sqlite3.OperationalError):
                raise
            # damaged: answers are asked for again; what was billed stands in the outcomes of the jobs
            self._path.replace(self._path.with_name(f"{self._path.name}.corrupt"))
            self._database = self._opened()

    def _opened(self) -> sqlite3.Connection:
        database = sqlite3.connect(
            ":memory:" if self._path is None else self._path, timeout=WAIT_SECONDS, isolation_level=None
        )
        try:
            # not flushed to the disk at every commit: a killed process loses nothing; a machine that loses its power
            # may leave a damaged file, which is found here
            database.execute("pragma synchronous = off")
            if database.execute("pragma quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError(f"{self._path} is damaged")
            database.executescript(TABLES)
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self._database.execute("begin immediate")
        try:
            yield self._database
        except BaseException:
            self._database.execute("rollback")
            raise
        self._database.execute("commit")

    def answer(self, key: str) -> KeptAnswer | None:
        """A kept answer; None: this was never asked."""
        row = self._database.execute("select answer from answers where key = ?", (key,)).fetchone()
        return None if row is None else KeptAnswer.model_validate_json(row[0])

    def keep(self, key: str, answer: KeptAnswer) -> None:
        """Keeps an answer."""
        with self._writing() as database:
            database.execute("insert or replace into answers values (?, ?)", (key, answer.model_dump_json()))

    def reserve(self, job: str, usd: float, cap: float | None) -> int:
        """Reserves the most that a request may cost; returns the number by which it is settled.

        Args:
            job: which job sends it.
            usd: the most that it may cost.
            cap: the most that all jobs together may have spent and reserved; None: there is no limit.

        Raises:
            OutOfMoneyError: the reservation would pass the cap.
        """
        with self._writing() as database:
            if cap is not None:
                spent = float(database.execute("select coalesce(sum(usd), 0) from money").fetchone()[0])
                if spent + usd > cap:
                    raise OutOfMoneyError(
                        f"budget.usd leaves providers ${max(0.0, cap):.6f}, ${spent:.6f} of which are spent or under "
                        f"way, and the next request may cost ${usd:.6f}"
                    )
            added = database.execute("insert into money (job, usd, estimated, open) values (?, ?, 1, 1)", (job, usd))
            return int(added.lastrowid or 0)

    def settle(self, number: int, usd: float, estimated: bool) -> None:
        """States what a request has cost in place of its reservation."""
        with self._writing() as database:
            database.execute(
                "update money set usd = ?, estimated = ?, open = 0 where id = ?", (usd, int(estimated), number)
            )

    def take_over(self, other: Path, label: str) -> None:
        """Adds the content of another store's file; `label` is put before the names of its jobs."""
        self._database.execute("attach database ? as other", (str(other),))
        try:
            with self._writing() as database:
                database.execute("insert or ignore into answers select * from other.answers")
                database.execute("insert or ignore into servers select * from other.servers")
                database.execute(
                    "insert into money (job, usd, estimated, open) select ? || job, usd, estimated, 0 from other.money",
                    (label,),
                )
        finally:
            self._database.execute("detach database other")

    def features(self, key: str) -> str | None:
        """What was found out about a server, as JSON; None: nothing."""
        row = self._database.execute("select features from servers where key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def keep_features(self, key: str, features: str) -> None:
        """Keeps what was found out about a server."""
        with self._writing() as database:
            database.execute("insert or replace into servers values (?, ?)", (key, features))


def billed_by_job(folder: Path) -> dict[str, float]:
    """USD spent or under way by every job of a run; empty where no server was asked."""
    path = folder / STORE_FILE
    if not path.is_file():
        return {}
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as database:
            rows = database.execute("select job, sum(usd) from money group by job").fetchall()
    except sqlite3.DatabaseError:  # not made in full yet, or damaged
        return {}
    return {str(job): float(usd) for job, usd in rows}


def adopt(source: Path, target: Path, label: str) -> None:
    """Adds answers, bills and what is known of servers to another run's, and removes them here.

    Args:
        source: folder of a run that ends with this, such as the probe of a plan.
        target: folder of the run that goes on.
        label: put before the names of the jobs that were billed.
    """
    if not (source / STORE_FILE).is_file():
        return
    store = AnswerStore(target)
    try:
        store.take_over(source / STORE_FILE, label)
    finally:
        store.close()
    (source / STORE_FILE).unlink()


def content_key(*parts: Any) -> str:
    """SHA-256 of JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
