"""The address of a database in a task: what is accepted, and that no message repeats a password."""

import pytest

from autoadapt.domain.storage_url import checked_url

GOOD = [
    "postgresql+psycopg://user:${NAME}@host/db",
    "postgresql://user:${NAME}@host:5432/db?sslmode=require",
    "postgresql+psycopg://user@host/db",
    "postgresql+psycopg://host/db",
    "postgresql+psycopg://user@/db?host=/var/run/postgresql",
    "postgresql+psycopg://${USER_NAME}:${NAME}@[::1]:5432/db",
    "${DATABASE_URL}",
]
PLAIN = [
    "postgresql+psycopg://user:hunter2secret@host/db",
    "postgresql+psycopg://user:hunter2secret/with@signs:1@host/db",
    "postgresql+psycopg://user:hunter2secret?@host/db",
    "postgresql+psycopg://user:${NAME}hunter2secret@host/db",
    "postgresql+psycopg://user@host/db?password=hunter2secret",
    "postgresql+psycopg://user@host/db?sslpassword=hunter2secret",
]
WRONG = [
    ("postgres://user:hunter2secret@host/db", "did you mean 'postgresql'"),
    ("postgresql+psycopg2://user:hunter2secret@host/db", r"did you mean 'postgresql\+psycopg'"),
    ("mysql://user:hunter2secret@host/db", "unknown kind of database 'mysql'"),
    ("sqlite:///study.db", "leave storage out for SQLite"),
    ("study.db", "must be the address of a database"),
    ("postgresql+psycopg://user:${NAME}@host", "names no database"),
    ("postgresql+psycopg://user:${NAME}@host:hunter2secret/db", "port after the host must be a number"),
    ("user:hunter2secret://host/db", r"must begin with postgresql\+psycopg"),
]


@pytest.mark.parametrize("address", GOOD)
def test_address_with_references(address: str) -> None:
    assert checked_url(address) == address


@pytest.mark.parametrize("address", PLAIN)
def test_password_in_plain_text_error(address: str) -> None:
    with pytest.raises(ValueError, match=r"plain text; write a reference .*\$\{NAME\}") as caught:
        checked_url(address)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("address", "message"), WRONG)
def test_wrong_address_error(address: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        checked_url(address)
    assert "hunter2" not in str(caught.value)
