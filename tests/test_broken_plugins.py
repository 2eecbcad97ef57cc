"""A plug-in of another package that does not work is named, with its package and what to do."""

import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from conftest import MakeTask, call

from autoadapt import registry
from autoadapt.domain.family import ModelFamily
from autoadapt.domain.metric import Metric
from autoadapt.errors import Exit, UserError
from autoadapt.registry import Registry

WORKING = """
from autoadapt.domain.metric import Metric

class Broken(Metric):
    answers = "label"
    def __init__(self, settings=None):
        {begin}
    def row(self, answered):
        raise RuntimeError("of its row")
"""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("raise RuntimeError('at its import')", "RuntimeError: at its import"),
        ("x = (", "SyntaxError: '(' was never closed"),
        ("x = 1", "it must define exactly one Metric, and defines 0"),
        (WORKING.format(begin="raise OSError('at its beginning')"), "OSError: at its beginning"),
    ],
)
def test_broken_plugin_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, said: str) -> None:
    name = f"broken_{abs(hash(code))}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = EntryPoint(name="broken", value=name, group="autoadapt.metrics")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    with pytest.raises(UserError) as caught:
        Registry("metric", "autoadapt.metrics", Metric).new("broken")
    assert caught.value.code == Exit.ENVIRONMENT
    assert str(caught.value).startswith(f"metric 'broken' of {name} does not work ({said}")
    assert "repair the package that brings it, or remove it" in str(caught.value)


def test_fault_of_a_built_in_plugin_stays_a_bug() -> None:
    with pytest.raises(RuntimeError), Registry("metric", "autoadapt.metrics", Metric).blamed("accuracy"):
        raise RuntimeError


def test_broken_family_is_named_by_a_task_that_does_not_use_it(
    monkeypatch: pytest.MonkeyPatch, make_task: MakeTask, tmp_path: Path
) -> None:
    from autoadapt.tasks import found_models

    (tmp_path / "broken_family.py").write_text("raise RuntimeError('at its import')")
    monkeypatch.syspath_prepend(str(tmp_path))
    families = Registry("model family", "autoadapt.models", ModelFamily)  # type: ignore[type-abstract]
    families._modules["broken"] = "broken_family"
    monkeypatch.setattr(found_models, "FAMILIES", families)
    ended = call("check", make_task())
    assert ended.returncode == 4
    assert "line 4, models.0: model family 'broken' of broken_family does not work (RuntimeError" in ended.stderr
