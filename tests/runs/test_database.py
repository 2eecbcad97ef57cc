"""A study in PostgreSQL: what is refused, what an outage changes, and what a lost reply changes."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from postgres_server import PASSWORD, VARIABLE, LosingProxy, PostgresServer, free_port, running_server

from autoadapt.domain.objective import Goal
from autoadapt.domain.task import Task
from autoadapt.errors import Exit, UserError
from autoadapt.runs import database, storage
from autoadapt.runs.database import check_database, open_database, open_shared, take_study
from autoadapt.runs.outages import DatabaseAwayError, LastingStorage, Outages
from autoadapt.shelves import OBJECTIVES

GOALS: list[Goal] = [OBJECTIVES.get(name).goal(name) for name in ("quality", "cost_usd_per_1k", "latency_ms")]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    yield from running_server()


@pytest.fixture(autouse=True)
def closed_storages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Closes every database that a test has opened."""
    storages: list[LastingStorage] = []
    real = LastingStorage.__init__

    def remembered(self: LastingStorage, *arguments: Any) -> None:
        real(self, *arguments)
        storages.append(self)

    monkeypatch.setattr(LastingStorage, "__init__", remembered)
    yield
    for one in storages:
        storage.close_storage(one)


def opened(address: str, limit: float = 60, name: str = "fruits") -> tuple[optuna.Study, Outages, list[str]]:
    """A study in a database, its outages, and what they say."""
    said: list[str] = []
    outages = Outages(limit, say=said.append)
    study = storage.open_study(Path("unused"), name, GOALS, open_database(address, outages))
    return study, outages, said


def use(study: optuna.Study) -> None:
    """What a search asks a study for: trials of every end, one of them enqueued."""
    study.set_user_attr("portfolio", {"wanted": []})
    study.enqueue_trial({"x": 0.25, "n": 3})
    study.sampler = optuna.samplers.RandomSampler(seed=1)
    for number in range(4):
        trial = study.ask()
        x, n = trial.suggest_float("x", 0, 1), trial.suggest_int("n", 1, 9)
        trial.set_user_attr("candidate", {"method": "prompt", "model": "m", "params": {"x": x, "n": n}})
        storage.write_note(study, f"trial {number}", trial)
        if number == 2:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif number == 3:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, [x, float(n), float("inf")])
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.PRUNED, user_attrs={"refused": "it"}))


def content(study: optuna.Study) -> list[tuple[Any, ...]]:
    """All that a study holds but for times."""
    return [(t.number, t.state, t.values, t.params, t.user_attrs) for t in study.get_trials(deepcopy=False)]


def test_study_in_postgresql_equals_one_in_a_file(server: PostgresServer, tmp_path: Path) -> None:
    in_database, _, _ = opened(server.make_database("equal"))
    in_file = storage.open_study(tmp_path / "study.db", "fruits", GOALS)
    use(in_database)
    use(in_file)
    assert content(in_database) == content(in_file)
    storage.write_copy(in_database, tmp_path / "copy.db")
    copied = storage.load_trials(tmp_path / "copy.db", "fruits")
    assert [(t.number, t.state, t.values, t.params, t.user_attrs) for t in copied] == content(in_file)


def lose_replies(server: PostgresServer, step: int) -> int:
    """Loses the reply to one commit of a study, then to another one of the next, and so on.

    Args:
        server: has the database.
        step: the first commit whose reply is lost, and by how many the next one is later.

    Returns:
        How many were lost.
    """
    address, said, proxy = server.make_database("whole"), [], LosingProxy(server.port)
    direct = open_database(address, Outages(60))
    lossy = open_database(server.address("whole", proxy.port), Outages(60, say=said.append))
    expected, lose_at = storage.open_study(Path("unused"), "whole", GOALS, direct), 0
    use(expected)
    try:
        while True:
            lose_at, name = lose_at + step, f"lost at {lose_at + step}"
            study, begun = storage.open_study(Path("unused"), name, GOALS, lossy), proxy.commits
            proxy.lose_at = begun + lose_at
            use(study)
            assert content(study) == content(expected), f"commit {lose_at}"
            read_anew = optuna.load_study(study_name=name, storage=direct)
            assert content(read_anew) == content(expected), f"commit {lose_at}, read anew"
            assert said == [], "a dropped connection is mended without a word"
            if proxy.commits - begun < lose_at:
                return proxy.lost
    finally:
        proxy.close()


def test_lost_replies_change_nothing(server: PostgresServer) -> None:
    assert lose_replies(server, 7) >= 5


@pytest.mark.slow
def test_reply_lost_at_any_commit_changes_nothing(server: PostgresServer) -> None:
    assert lose_replies(server, 1) > 40


def test_outage_is_waited_for_and_said_once(server: PostgresServer) -> None:
    study, outages, said = opened(server.make_database("outage"))
    looked = []
    outages.meanwhile = lambda: looked.append(time.monotonic())
    trial = study.ask()
    server.stop()
    threading.Timer(4, server.start).start()
    begun = time.monotonic()
    study.tell(trial, [1.0, 2.0, 3.0])
    assert 3 < time.monotonic() - begun < 12
    assert [t.state.name for t in study.get_trials()] == ["COMPLETE"]
    assert len(said) == 2
    assert "does not answer" in said[0]
    assert "answers again" in said[1]
    assert PASSWORD not in "".join(said)
    assert len(looked) > 8, "the driver looks after its workers meanwhile"


def test_idle_connections_that_were_ended_are_replaced_without_a_word(server: PostgresServer) -> None:
    study, _, said = opened(server.make_database("idle"))
    trial = study.ask()
    server.run("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'idle'")
    study.tell(trial, [1.0, 2.0, 3.0])
    assert said == []


def test_outage_beyond_the_limit_and_a_stop_end_the_wait(server: PostgresServer) -> None:
    study, outages, _ = opened(server.make_database("long"), limit=1)
    trial = study.ask()
    server.stop()
    try:
        with pytest.raises(DatabaseAwayError, match="did not answer for"):
            study.tell(trial, [1.0, 2.0, 3.0])
        outages.limit_seconds, outages.asked_to_stop = 60, lambda: True
        begun = time.monotonic()
        with pytest.raises(DatabaseAwayError):
            study.tell(trial, [1.0, 2.0, 3.0])
        assert time.monotonic() - begun < 2
    finally:
        server.start()
    outages.asked_to_stop = lambda: False
    study.tell(trial, [1.0, 2.0, 3.0])
    assert [t.state.name for t in study.get_trials()] == ["COMPLETE"]


def test_trial_that_another_program_ended_error(server: PostgresServer) -> None:
    address = server.make_database("another")
    study, _, _ = opened(address)
    trial = study.ask()
    optuna.load_study(study_name="fruits", storage=opened(address)[0]._storage).tell(
        0, state=optuna.trial.TrialState.FAIL
    )
    with pytest.raises((UserError, ValueError), match="FAIL"):
        study.tell(trial, [1.0, 2.0, 3.0])


def test_trial_that_the_database_has_lost_error(server: PostgresServer) -> None:
    study, _, _ = opened(server.make_database("restored"))
    trial = study.ask()
    server.run("delete from trials", "restored")
    with pytest.raises(UserError, match=r"no longer holds a trial .*run the same command to resume") as caught:
        study.tell(trial, [1.0, 2.0, 3.0])
    assert caught.value.code == Exit.STORAGE


WRONG = [
    ("127.0.0.1:{closed}/equal", Exit.STORAGE, "whether the server runs"),
    ("no-such-host.invalid/equal", Exit.STORAGE, "check the name of the host"),
    ("127.0.0.1:{port}/no_such_database", Exit.STORAGE, "CREATE DATABASE"),
]


@pytest.mark.parametrize(("place", "code", "hint"), WRONG)
def test_wrong_place_error(server: PostgresServer, place: str, code: Exit, hint: str) -> None:
    where = place.format(port=server.port, closed=free_port())
    address = f"postgresql+psycopg://searcher:${{{VARIABLE}}}@{where}"
    for use_it in (check_database, lambda a: open_database(a, Outages(60))):
        with pytest.raises(UserError, match=hint) as caught:
            use_it(address)
        assert caught.value.code == code
        assert str(caught.value).startswith(f"storage {address}: ")
        assert len(str(caught.value).splitlines()) == 1


def test_wrong_password_and_user_error(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG_PASSWORD", "not-the-password")
    address = server.address("postgres").replace(VARIABLE, "WRONG_PASSWORD")
    with pytest.raises(UserError, match="check the variable that holds the password") as caught:
        check_database(address)
    assert caught.value.code == Exit.STORAGE
    assert "not-the-password" not in str(caught.value)


def test_unset_variable_error(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(UserError, match=f"variable {VARIABLE} is not set; export it") as caught:
        check_database(server.address("postgres"))
    assert caught.value.code == Exit.CONFIG


def test_whole_address_in_a_variable(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from urllib.parse import quote

    monkeypatch.setenv(
        "DATABASE_URL", f"postgres://searcher:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/postgres"
    )
    assert check_database("${DATABASE_URL}").startswith("PostgreSQL ")
    monkeypatch.setenv("DATABASE_URL", f"mysql://searcher:{quote(PASSWORD, safe='')}@127.0.0.1/postgres")
    with pytest.raises(UserError, match="begins with postgresql") as caught:
        check_database("${DATABASE_URL}")
    assert quote(PASSWORD, safe="") not in str(caught.value)


def test_socket_of_the_server(server: PostgresServer) -> None:
    if os.getuid() != 0:
        pytest.skip("the socket's folder is that of the user who runs the server")
    address = f"postgresql+psycopg://searcher:${{{VARIABLE}}}@/postgres?host={server.folder}&port={server.port}"
    assert check_database(address).startswith("PostgreSQL ")


def test_user_who_may_make_no_tables_error(server: PostgresServer) -> None:
    server.make_database("closed")
    server.run(f"create role reader login password '{PASSWORD}'")
    server.run("revoke create on schema public from public", "closed")
    with pytest.raises(UserError, match="may not make tables there; make it the owner"):
        check_database(server.address("closed").replace("searcher", "reader"))


def test_missing_package_error(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'autoadapt\[postgresql\]'") as caught:
        check_database(server.address("postgres"))
    assert caught.value.code == Exit.ENVIRONMENT


def task_at(address: str, name: str = "fruits") -> Task:
    """A task with that storage."""
    return Task.model_validate(
        {
            "name": name,
            "data": {"path": "data.jsonl", "columns": {"input": "text", "output": "label"}},
            "metric": "accuracy",
            "models": ["scripted"],
            "budget": {"trials": 1},
            "economics": {"usd_per_hour": 1},
            "storage": address,
        }
    )


def test_two_studies_of_one_name_error(server: PostgresServer, tmp_path: Path) -> None:
    address = server.make_database("names")
    folders = [tmp_path / name for name in ("first", "second", "moved")]
    for folder in folders[:2]:
        folder.mkdir()
    shared = open_shared(task_at(address), folders[0], {"seed": 0}, Outages(60))
    study = storage.open_study(folders[0], "fruits", GOALS, shared.storage)
    take_study(study, shared.owner)
    study.ask()
    with pytest.raises(UserError, match=r"holds a study 'fruits' of another task .*set another `name:`") as caught:
        open_shared(task_at(address), folders[1], {"seed": 1}, Outages(60))
    assert caught.value.code == Exit.STORAGE
    with pytest.raises(UserError, match="of another run folder"):
        open_shared(task_at(address), folders[1], {"seed": 0}, Outages(60))
    folders[0].rename(folders[2])
    again = open_shared(task_at(address), folders[2], {"seed": 0}, Outages(60))
    assert len(storage.open_study(folders[2], "fruits", GOALS, again.storage).get_trials()) == 1
    (folders[2] / database.OWNER_FILE).unlink()
    with pytest.raises(UserError, match=r"of a run folder that was deleted|of another run folder"):
        open_shared(task_at(address), folders[2], {"seed": 0}, Outages(60))
    other = open_shared(task_at(address, "vegetables"), folders[1], {"seed": 1}, Outages(60))
    assert storage.open_study(folders[1], "vegetables", GOALS, other.storage).get_trials() == []


def test_run_folder_that_lost_its_identifier_or_its_jobs(server: PostgresServer, tmp_path: Path) -> None:
    address, task = server.make_database("lost"), task_at(server.address("lost"))
    shared = open_shared(task, tmp_path, {"seed": 0}, Outages(60))
    study = storage.open_study(tmp_path, "fruits", GOALS, shared.storage)
    take_study(study, shared.owner)
    study.ask()
    (tmp_path / database.OWNER_FILE).unlink()
    with pytest.raises(UserError, match=r"of a run folder that was deleted .*optuna delete-study"):
        open_shared(task, tmp_path, {"seed": 0}, Outages(60))
    job = tmp_path / "trials" / "0000" / "rung0" / "job.json"
    job.parent.mkdir(parents=True)
    job.touch()
    assert open_shared(task, tmp_path, {"seed": 0}, Outages(60)).owner.run != shared.owner.run
    with pytest.raises(UserError, match="of another task"):
        open_shared(task, tmp_path, {"seed": 1}, Outages(60))
    assert address == task.storage


def test_study_of_another_program_error(server: PostgresServer, tmp_path: Path) -> None:
    address = server.make_database("foreign")
    opened(address)[0].ask()
    with pytest.raises(UserError, match="of another program"):
        open_shared(task_at(address), tmp_path, {"seed": 0}, Outages(60))


def test_searches_that_begin_at_once_in_an_empty_database(server: PostgresServer) -> None:
    address, failed = server.make_database("empty"), []

    def begin(name: str) -> None:
        try:
            opened(address, name=name)[0].ask()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failed.append(error)

    threads = [threading.Thread(target=begin, args=(f"study {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert database.check_database(address)
