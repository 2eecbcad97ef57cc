"""autoadapt models: what is listed, and what cannot be got."""

import json
from pathlib import Path

import pytest
from conftest import call

from autoadapt.named_models import EMBEDDED


@pytest.fixture(autouse=True)
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No model of the user or of the hub."""
    monkeypatch.setenv("AUTOADAPT_CACHE", str(tmp_path / "cache"))


def test_models_are_listed_with_family_size_and_licence() -> None:
    run = call("models", "list")
    assert run.returncode == 0, run.stderr
    lines = {line.split()[0]: line for line in run.stdout.splitlines()}
    assert "family  " in lines["model"]
    assert "causal_lm" in lines["embedded"]
    assert "16.9 M" in lines["embedded"]
    assert lines["embedded"].endswith(str(EMBEDDED))
    assert "135 M" in lines["smollm2"]
    assert "Apache-2.0" in lines["smollm2"]
    assert lines["smollm2"].endswith("not here; run: autoadapt models get smollm2")


def test_the_list_is_json_for_programs() -> None:
    listed = {m["name"]: m for m in json.loads(call("models", "list", "--json").stdout)}
    assert listed["embedded"]["bytes"] == sum(f.stat().st_size for f in EMBEDDED.iterdir())
    assert listed["embedded"]["get"] is None
    assert (listed["smollm2"]["bytes"], listed["smollm2"]["folder"]) == (None, None)
    assert listed["minilm"]["family"] == "encoder"


def test_what_is_there_is_not_fetched_and_what_comes_with_the_package_cannot_be() -> None:
    run = call("models", "get", "embedded")
    assert run.returncode == 0
    assert run.stdout == f"embedded is there: {EMBEDDED}\n"
    forced = call("models", "get", "embedded", "--force")
    assert forced.returncode == 2
    assert "comes with AutoAdapt and cannot be fetched" in forced.stderr
