"""A real PostgreSQL for tests: started, stopped and killed at will, and a proxy that loses replies."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

PASSWORD = "p@ss/{w}:ord"
"""Holds what means something in an address."""
VARIABLE = "AUTOADAPT_TEST_DB"
SERVER_USER = "postgres"


def programs() -> Path:
    """The folder of initdb and pg_ctl; the test is skipped where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    beside = shutil.which("initdb")
    if not found and beside is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    return found[-1].parent if found else Path(str(beside)).parent


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgresServer:
    """A server in a temporary folder, run by another user where the tests are run by root."""

    def __init__(self) -> None:
        self.programs, self.port = programs(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="autoadapt-postgres-"))
        self.user: str | None = None
        if os.getuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            self.user = SERVER_USER if SERVER_USER in names else "nobody"
            shutil.chown(self.folder, self.user)
        self.folder.chmod(0o700)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        arguments = [
            "--auth=scram-sha-256",
            f"--pwfile={secret}",
            "--username=searcher",
            "--encoding=UTF8",
            "--no-sync",
        ]
        self._call("initdb", *arguments)
        with (self.folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(f"listen_addresses='127.0.0.1'\nport={self.port}\nunix_socket_directories='{self.folder}'\n")
            settings.write("fsync=off\nshared_buffers=16MB\nmax_connections=20\n")
        self.start()

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), "-D", str(self.folder / "data"), *arguments]
        # the server keeps what it inherits open, so that nothing may wait for the end of a pipe
        with (self.folder / "output").open("ab") as output:
            done = subprocess.run(command, stdout=output, stderr=output, user=self.user, cwd="/", check=False)
        assert done.returncode == 0, (self.folder / "output").read_text()

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self._call("pg_ctl", "-w", "-t", "60", "start")

    def stop(self) -> None:
        """Ends it and every connection."""
        self._call("pg_ctl", "-w", "-t", "60", "-m", "immediate", "stop")

    def close(self) -> None:
        """Ends it, if it runs, and deletes its folder."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def make_database(self, name: str) -> str:
        """Makes an empty database; returns its address as a task writes it."""
        self.run(f'drop database if exists "{name}" with (force)')
        self.run(f'create database "{name}"')
        return self.address(name)

    def address(self, name: str, port: int | None = None) -> str:
        """Of a database, as a task writes it."""
        return f"postgresql+psycopg://searcher:${{{VARIABLE}}}@127.0.0.1:{port or self.port}/{name}"

    def run(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Runs one statement; returns its rows."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="searcher",
            password=PASSWORD,
            dbname=database,
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


def running_server() -> Iterator[PostgresServer]:
    """For a fixture: a server, with the variable that holds its password set."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install 'autoadapt[postgresql]')")
    server = PostgresServer()
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = PASSWORD
    try:
        yield server
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before
        server.close()


class LosingProxy:
    """Passes connections on to a server, and closes one instead of passing on the reply to a chosen commit."""

    def __init__(self, port: int) -> None:
        self._server_port, self.commits, self.lost = port, 0, 0
        self.lose_at: int | None = None
        """The number of the commit, from 1, whose reply is lost."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accepts no further connection."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Passes on what a client sends."""
        server, losing = socket.create_connection(("127.0.0.1", self._server_port)), threading.Event()
        threading.Thread(target=_pass_replies, args=(client, server, losing), daemon=True).start()
        with contextlib.suppress(OSError):
            while part := client.recv(65536):
                if b"COMMIT" in part:
                    self.commits += 1
                    if self.commits == self.lose_at:
                        self.lost += 1
                        losing.set()
                server.sendall(part)
        if not losing.is_set():  # else the server has to commit before it loses its client
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)


def _pass_replies(client: socket.socket, server: socket.socket, losing: threading.Event) -> None:
    """Passes on what a server replies, until a reply is to be lost; then both connections end."""
    with contextlib.suppress(OSError):
        while (part := server.recv(65536)) and not losing.is_set():
            client.sendall(part)
    for end in (client, server):
        with contextlib.suppress(OSError):  # a thread may wait for it, which only a shutdown ends
            end.shutdown(socket.SHUT_RDWR)
        end.close()
