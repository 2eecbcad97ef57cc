"""autoadapt doctor: what a machine can do, and the fix for each lack."""

import importlib.util
import json
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import call

from autoadapt.domain.machine import Checkup, Finding, LocalServer, Machine, Torch
from autoadapt.forecast import machine as machines
from autoadapt.forecast.checkup import EXTRAS, checkup
from autoadapt.forecast.machine import hub_state, installed_torch, server_at, tried_torch
from autoadapt.forecast.proposals import proposed_search
from autoadapt.tasks.listed_models import ListedModel

ROOT = Path(__file__).parents[2]


def a_machine(**changes: Any) -> Machine:
    fields: dict[str, Any] = {
        "cpu": "a CPU",
        "cores": 2,
        "memory_bytes": 16 * 10**9,
        "available_bytes": 12 * 10**9,
        "disk_bytes": 10**11,
        "gpus": [],
        "gpu_bytes": None,
        "torch": Torch(version="2.9.0", cuda="12.8", gpus=0),
        "servers": [],
        "keys": {},
    }
    return Machine(**{**fields, **changes})


H200 = {"gpus": ["NVIDIA H200"] * 2, "gpu_bytes": 141 * 10**9}


def model(name: str, family: str = "causal_lm", parameters: int = 10**8, here: bool = True) -> ListedModel:
    return ListedModel(
        name=name,
        family=family,
        parameters=parameters,
        bytes=None,
        licence=None,
        folder=f"/models/{name}" if here else None,
        get=None if here else f"autoadapt models get {name}",
    )


EMBEDDED = model("embedded", parameters=17_000_000)
MINILM = model("minilm", "encoder", 22_000_000)


def found(result: Checkup, name: str) -> Finding:
    return next(finding for finding in result.findings if finding.name == name)


def test_this_machine_is_looked_at_and_no_key_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-this-must-not-be-shown")
    run = call("doctor", "--json")
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["can_search"] is True
    names = {finding["name"] for finding in result["findings"]}
    assert names == {"devices", "memory", "disk", "torch", "hub", "models", "servers", "keys", "extras"}
    assert "set: OPENAI_API_KEY" in run.stdout
    assert "must-not-be-shown" not in run.stdout
    assert all(finding["fix"] for finding in result["findings"] if finding["state"] != "ok")


def test_a_machine_that_cannot_search_ends_with_code_4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "tried_torch", Torch)
    run = call("doctor")
    assert run.returncode == 4
    assert "STOP  torch" in run.stdout
    assert "not installed: pip install torch" in run.stdout
    assert "No search can run here until what is marked STOP is fixed." in run.stdout


@pytest.mark.parametrize(
    ("changes", "name", "fix"),
    [
        ({"memory_bytes": 10**9}, "memory", "take a machine with at least 2 GB"),
        ({"disk_bytes": 10**8}, "disk", "make room"),
        ({"torch": Torch(version="2.9.0", failure="libcudnn.so: no such file")}, "torch", "--force-reinstall"),
        ({**H200, "torch": Torch(version="2.9.0+cpu", gpus=0)}, "torch", "the default build has CUDA"),
        (
            {**H200, "torch": Torch(version="2.9.0", cuda="12.8", gpus=0)},
            "torch",
            "update the GPU driver; or search on",
        ),
    ],
)
def test_what_stops_a_search_has_a_fix(changes: dict[str, Any], name: str, fix: str) -> None:
    result = checkup(a_machine(**changes), "reachable", [EMBEDDED])
    assert not result.can_search
    assert found(result, name).state == "stops"
    assert fix in (found(result, name).fix or "")


def test_what_is_missing_but_not_needed_stops_nothing() -> None:
    result = checkup(a_machine(available_bytes=10**9), "unreachable", [EMBEDDED, model("smollm2", here=False)])
    assert result.can_search
    lacks = {finding.says: finding.fix for finding in result.findings if finding.state == "lack"}
    assert lacks["smollm2 is not here"] == "autoadapt models get smollm2"
    assert "folders, the hub's cache" in (lacks["the Hugging Face hub is unreachable"] or "")
    gpu = {**H200, "torch": Torch(version="2.9.0", cuda="12.8", gpus=2)}
    result = checkup(a_machine(**gpu), "reachable", [EMBEDDED])
    assert found(result, "devices").says == "2 x NVIDIA H200 of 141 GB; 2 CPU cores (a CPU)"
    assert found(result, "torch").says == "2.9.0, for CUDA 12.8"


def test_every_extra_of_the_package_is_looked_for() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {*EXTRAS} == {*extras} - {"dev", "docs"}


def test_torch_is_read_from_its_files_and_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = installed_torch()
    assert installed.version
    monkeypatch.setattr(machines, "TRY_TORCH", "raise ImportError('libcudart is missing')")
    assert tried_torch() == installed.model_copy(update={"failure": "ImportError: libcudart is missing"})
    monkeypatch.setattr(machines, "TRY_TORCH", "import os; os._exit(9)")
    assert tried_torch().failure == "its process ended with code 9"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert tried_torch().version is None


def test_the_hub_may_be_switched_off_or_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub_state() == "switched off"
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert hub_state(timeout=1) == "unreachable"
    monkeypatch.setenv("HF_ENDPOINT", "no url")
    assert hub_state(timeout=1) == "unreachable"


class Listing(BaseHTTPRequestHandler):
    """Lists its models as OpenAI's interface does."""

    answer = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    ("answer", "models"),
    [
        (b'{"object": "list", "data": [{"id": "qwen"}, {"id": "other"}]}', ["qwen", "other"]),
        (b'{"data": []}', None),
        (b'{"data": 3}', None),
        (b'["qwen"]', None),
        (b"<html>a web page</html>", None),
    ],
)
def test_a_server_of_models_is_one_that_lists_them(
    answer: bytes, models: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Listing, "answer", answer)
    with HTTPServer(("127.0.0.1", 0), Listing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        found = server_at(url)
        server.shutdown()
    assert found == (None if models is None else LocalServer(url=url, models=models))
    assert server_at(url) is None, "it has ended"


def test_models_that_fit_are_proposed_and_others_named() -> None:
    listed = [EMBEDDED, MINILM, model("big", parameters=8 * 10**9), model("smollm2", parameters=135 * 10**6)]
    assert proposed_search(a_machine(), listed, "label").models == ["smollm2", "minilm"]
    assert proposed_search(a_machine(), listed, "text").models == ["smollm2"]
    assert proposed_search(a_machine(), [EMBEDDED], "label").models == ["embedded"]
    assert proposed_search(a_machine(memory_bytes=10**8), [], "label").models == ["embedded"]
    large = proposed_search(a_machine(**H200), listed, "label")
    assert large.models == ["big", "minilm"]
    server = LocalServer(url="http://127.0.0.1:8000/v1", models=["qwen"])
    more = a_machine(servers=[server], keys={"groq": "GROQ_API_KEY"})
    assert proposed_search(more, [EMBEDDED, model("minilm", "encoder", here=False)], "label").also == [
        "minilm (first: autoadapt models get minilm)",
        "server:qwen@http://127.0.0.1:8000/v1",
        "groq:MODEL (GROQ_API_KEY is set; requests are billed)",
    ]


@pytest.mark.parametrize(
    ("gpu", "gigabytes", "economics"),
    [
        ("NVIDIA H200", 141, "price: akash/h200-141gb/on-demand"),
        ("NVIDIA H100 80GB HBM3", 80, "price: runpod/h100-pcie-80gb/community"),
        ("NVIDIA A100-SXM4-40GB", 40, "price: lambda/a100-40gb/1x"),
        ("NVIDIA GeForce RTX 4090", 24, "price: openrelay/rtx-4090-24gb/on-demand"),
        ("NVIDIA Quadro 1", 8, "usd_per_hour: 2.00"),
    ],
)
def test_the_price_of_a_gpu_is_that_of_the_book(gpu: str, gigabytes: int, economics: str) -> None:
    proposal = proposed_search(a_machine(gpus=[gpu], gpu_bytes=gigabytes * 10**9), [EMBEDDED], "label")
    assert proposal.economics == economics
    assert ("an assumption" in proposal.price) == (economics == "usd_per_hour: 2.00")
    assert proposal.hours == 1
    assert proposal.most_usd > 0


def test_the_price_of_a_budget_is_that_of_all_slots() -> None:
    proposal = proposed_search(a_machine(), [EMBEDDED], "label")
    assert (proposal.slots, proposal.hours) == (2, 0.5)
    assert proposal.most_usd == pytest.approx(0.10)
