"""autoadapt registry: versions of bundles, aliases, and a server that follows one."""

import asyncio
import contextlib
import json
import multiprocessing
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import call
from exporting import fitted, job_run, source_of_jobs
from job_runs import CLASSICAL
from test_serving import Serving

from autoadapt.api import serve
from autoadapt.bundle.loaded import Bundle
from autoadapt.bundle.making import make_bundle
from autoadapt.bundle.versions import VersionRegistry
from autoadapt.errors import UserError


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two options of one task, which answer "grapefruit" alike and other texts by other words."""
    folder = tmp_path_factory.mktemp("bundles")
    run = job_run(folder / "run", CLASSICAL)
    jobs = [fitted(run, "tfidf"), fitted(run, "tfidf", trial=1, params={"C": 0.01})]
    for i, job in enumerate(jobs):
        make_bundle(source_of_jobs(run, [job]), folder / f"bundle{i}")
    return [folder / "bundle0", folder / "bundle1"]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VersionRegistry:
    monkeypatch.setenv("AUTOADAPT_REGISTRY", str(tmp_path / "registry"))
    return VersionRegistry()


def test_versions_are_added_promoted_and_rolled_back(bundles: list[Path], registry: VersionRegistry) -> None:
    assert "fruits version 1\n" in call("registry", "add", bundles[0]).stdout
    assert "version 1, which was there already" in call("registry", "add", bundles[0]).stdout
    assert "fruits@candidate points to it" in call("registry", "add", bundles[1], "--alias", "candidate").stdout
    assert call("registry", "promote", "fruits", "1").stdout == "fruits@production is version 1; it is new\n"
    assert "it was version 1" in call("registry", "promote", "fruits", "2").stdout
    assert registry.resolve("fruits").number == registry.resolve("registry:fruits@candidate").number == 2
    listed = json.loads(call("registry", "list", "--json").stdout)
    assert [(v["version"], v["aliases"]) for v in listed] == [(1, []), (2, ["candidate", "production"])]
    assert "candidate, production" in call("registry", "list", "fruits").stdout
    back = call("registry", "rollback", "fruits")
    assert back.stdout == "fruits@production is version 1 again; it was version 2\n"
    assert registry.resolve("fruits@production").number == 1
    again = call("registry", "rollback", "fruits")
    assert again.returncode == 2
    assert "promote another one" in again.stderr


def test_a_version_answers_as_its_bundle_does(bundles: list[Path], registry: VersionRegistry, tmp_path: Path) -> None:
    registry.add(bundles[0])
    registry.promote("fruits", 1)
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "a ripe apple", "label": "fruit"}\n{"text": "two young deer", "label": "animal"}\n')
    answers = [call("predict", bundle, rows).stdout for bundle in (bundles[0], "registry:fruits@production")]
    assert answers[0] == answers[1] != ""
    compared = call("evaluate", "registry:fruits@1", rows, "--against", bundles[1])
    assert compared.returncode == 0, compared.stderr


def test_a_difference_names_figures_parameters_and_prompt(bundles: list[Path], registry: VersionRegistry) -> None:
    for bundle in bundles:
        registry.add(bundle)
    found = json.loads(call("registry", "diff", "fruits", "1", "2", "--json").stdout)
    changed = {row["name"]: (row["before"], row["after"]) for row in found["changed"]}
    assert changed["option"] == ("0", "1")
    assert changed["params.C"][1] == 0.01
    assert not [name for name in changed if name.startswith(("data.", "versions."))]
    assert "accuracy" in [row["name"] for row in found["figures"]]
    assert found["prompt"] == []
    printed = call("registry", "diff", "fruits", "1", "2").stdout
    assert "params.C" in printed
    same = call("registry", "diff", "fruits", "2", "2").stdout
    assert "are the same" in same


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["promote", "fruit", "1"], 2, "did you mean 'fruits'"),
        (["promote", "fruits", "9"], 2, "has no version 9. Known: 1"),
        (["promote", "fruits", "1", "--alias", "7"], 2, "write a name"),
        (["promote", "fruits", "1", "--alias", "../up"], 2, "write a name"),
        (["rollback", "fruits", "--alias", "produktion"], 2, "no alias 'produktion'"),
        (["list", "../registry"], 2, "there is no '../registry'"),
        (["add", "{bundle}", "--name", "../up"], 2, "write letters"),
        (["add", "{empty}"], 3, "there is no bundle"),
        (["diff", "fruits", "1", "2"], 2, "has no version 2"),
    ],
)
def test_what_is_not_there_is_named(
    bundles: list[Path], registry: VersionRegistry, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    registry.add(bundles[0])
    given = [a.format(bundle=bundles[0], empty=tmp_path) for a in arguments]
    done = call("registry", *given)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert sorted(p.name for p in registry.folder.iterdir()) == ["fruits"]


def test_a_name_holds_options_that_are_asked_in_the_same_way(
    bundles: list[Path], registry: VersionRegistry, tmp_path: Path
) -> None:
    registry.add(bundles[0])
    other = tmp_path / "other"
    shutil.copytree(bundles[0], other)
    file = other / "option.json"
    file.write_text(file.read_text().replace('"task": "fruits"', '"task": "vegetables"'))
    done = call("registry", "add", other, "--name", "fruits")
    assert done.returncode == 2
    assert "Give it another --name" in done.stderr
    assert call("registry", "add", other).returncode == 0
    assert registry.names() == ["fruits", "vegetables"]


def test_a_damaged_version_is_not_promoted(bundles: list[Path], registry: VersionRegistry) -> None:
    version, _ = registry.add(bundles[0])
    (version.bundle / "README.md").write_text("changed")
    with pytest.raises(UserError, match="damaged"):
        registry.promote("fruits", 1)
    (registry.folder / "fruits" / "aliases.json").write_text("{")
    with pytest.raises(UserError, match="promote versions again"):
        registry.resolve("fruits")


def _add(folder: Path, bundle: Path) -> None:
    VersionRegistry(folder).add(bundle)


def test_two_processes_that_add_at_once_get_two_versions(bundles: list[Path], registry: VersionRegistry) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add, args=(registry.folder, bundle)) for bundle in bundles * 2]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert [version.number for version in registry.versions("fruits")] == [1, 2]


def test_a_registry_that_cannot_be_read_is_reported_once(
    bundles: list[Path], registry: VersionRegistry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    registry.add(bundles[0])
    (registry.folder / "fruits" / "aliases.json").write_text("{")
    monkeypatch.setattr(serve, "FOLLOW_SECONDS", 0.001)
    queue: Any = SimpleNamespace(version=1)

    async def follow_for_a_while() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(serve._follow(queue, "registry:fruits@production"), 0.3)

    asyncio.run(follow_for_a_while())
    (record,) = caplog.records
    assert "version 1 goes on" in record.getMessage()
    assert "promote versions again" in record.getMessage()


def test_a_server_follows_an_alias_without_refusing_a_request(bundles: list[Path], registry: VersionRegistry) -> None:
    for bundle in bundles:
        registry.add(bundle)
    registry.promote("fruits", 1)
    server = Serving(Path("registry:fruits@production"))
    seen: list[tuple[int, int]] = []
    ending = threading.Event()

    def ask() -> None:
        while not ending.is_set():
            response = server.predict({"input": "a ripe apple"})
            seen.append((response.status_code, response.json().get("version", 0)))

    asking = threading.Thread(target=ask)
    asking.start()

    def wait_for(version: int) -> None:
        deadline = time.monotonic() + 60
        while not seen or seen[-1] != (200, version):
            assert time.monotonic() < deadline, seen[-1:]
            time.sleep(0.01)

    try:
        wait_for(1)
        registry.promote("fruits", 2)
        wait_for(2)
        registry.roll_back("fruits")
        wait_for(1)
    finally:
        ending.set()
        asking.join()
        server.client.close()
        server.process.terminate()
        _, errors = server.process.communicate(timeout=60)
    assert server.process.returncode == 0, errors
    assert {status for status, _ in seen} == {200}
    assert "version 2 answers from now on" in errors


def test_a_version_goes_into_the_model_registry_of_mlflow(
    bundles: list[Path], registry: VersionRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real database of MLflow: files that answer, figures, the alias; the same content is added once."""
    tracking = pytest.importorskip("mlflow.tracking")
    registry.add(bundles[0])
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    unset = call("registry", "mlflow", "fruits", "1")
    assert unset.returncode == 4
    assert "set MLFLOW_TRACKING_URI" in unset.stderr
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.chdir(tmp_path)
    done = call("registry", "mlflow", "fruits", "1", "--alias", "champion")
    assert done.stdout == "fruits version 1 is version 1 of fruits in MLflow; fruits@champion points to it there\n", (
        done
    )
    assert "which was there already" in call("registry", "mlflow", "fruits", "1").stdout
    client = tracking.MlflowClient(tracking_uri=address, registry_uri=address)
    made = client.get_model_version_by_alias("fruits", "champion")
    run = client.get_run(made.run_id)
    description = registry.resolve("fruits@1").description
    assert run.data.metrics["accuracy"] == description.quality.value
    assert "test rows" in made.description
    copy = client.download_artifacts(made.run_id, "bundle", str(tmp_path / "copy"))
    with Bundle.load(copy) as there, Bundle.load(bundles[0]) as here:
        assert there.predict(["a ripe apple"]) == here.predict(["a ripe apple"])
    refused = call("registry", "mlflow", "fruits", "7")
    assert refused.returncode == 2
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # where nothing listens
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    unreachable = call("registry", "mlflow", "fruits", "1")
    assert unreachable.returncode == 7
    assert "registry mlflow: API request" in unreachable.stderr
