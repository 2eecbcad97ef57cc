"""The address of a database, as a task writes it: what may stand in it, and where its password must not."""

import difflib
import re
from urllib.parse import parse_qsl

from autoadapt.registry import REFERENCE

SCHEMES = ("postgresql+psycopg", "postgresql")
"""Both mean PostgreSQL by psycopg 3."""
EXAMPLE = "postgresql+psycopg://USER:${NAME}@HOST/DATABASE"
SECRET_FIELDS = {"password", "passwd", "sslpassword"}
"""Names after the ? whose values are secrets."""


def checked_url(text: str) -> str:
    """The address, if it is one of PostgreSQL whose secrets are references to environment variables.

    The whole address may be one reference. No message repeats a part in which a password may stand.

    Args:
        text: as written in the task.

    Raises:
        ValueError: what is wrong, and how to write it.
    """
    if REFERENCE.fullmatch(text):
        return text
    scheme, colons, rest = text.partition("://")
    if not colons:
        raise ValueError(f"must be the address of a database, such as {EXAMPLE}, or left out for a file")
    _check_scheme(scheme)
    address, _, query = rest.partition("?")
    # a password that is not escaped may hold / or @ itself
    user, at, place = rest.rpartition("@") if "@" in query and "@" not in address else address.rpartition("@")
    _check_secret(user.partition(":")[2] if at else "")
    for name, value in parse_qsl(query):
        if name.lower() in SECRET_FIELDS:
            _check_secret(value)
    _check_place(place)
    return text


def _check_scheme(scheme: str) -> None:
    if scheme in SCHEMES:
        return
    if scheme.lower().startswith("sqlite"):
        raise ValueError("leave storage out for SQLite: the run folder then holds the file study.db")
    if not re.fullmatch(r"[A-Za-z0-9+._-]{1,40}", scheme):
        raise ValueError(f"must begin with {SCHEMES[0]}://, as in {EXAMPLE}")
    near = difflib.get_close_matches(scheme.lower(), SCHEMES, n=1, cutoff=0.6)
    guess = f"did you mean '{near[0]}'? " if near else ""
    raise ValueError(f"unknown kind of database '{scheme}': {guess}Known: {', '.join(SCHEMES)}; write {EXAMPLE}")


def _check_secret(text: str) -> None:
    if text and not REFERENCE.fullmatch(text):
        raise ValueError(
            f"a password stands in it in plain text; write a reference to an environment variable, {EXAMPLE}, "
            "and export NAME before the search"
        )


def _check_place(place: str) -> None:
    """Host, port and database."""
    host, _, database = place.partition("/")
    port = re.search(r":([^:\]]*)$", host)
    if port is not None and not port[1].isdecimal():
        raise ValueError(f"the port after the host must be a number, as in {EXAMPLE.replace('HOST', 'HOST:5432')}")
    if not database:
        raise ValueError(f"names no database; write it after the host: {EXAMPLE}")
