"""The package of docs/how-to/plug-ins.md, taken from the page as it stands, is found and does a real job."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import MakeTask, call
from job_runs import JobRun, causal_lm
from pages import DOCS, blocks
from pydantic import TypeAdapter

from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.space import Spec
from autoadapt.shelves import METHODS, METRICS

PAGE = DOCS / "how-to" / "plug-ins.md"
TITLED = {block.title: block.text for block in blocks(PAGE)}
HARM = {"harm": {"tool": 0.2}}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's package where Python finds it, with what pip would write of its entry points."""
    folder = tmp_path / "package"
    (folder / "my_plugins").mkdir(parents=True)
    for title, text in TITLED.items():
        if title.startswith("my_plugins/"):
            (folder / title).write_text(text)
    project = tomllib.loads(TITLED["pyproject.toml"])["project"]
    info = folder / f"my_plugins-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {module}\n" for name, module in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups))
    monkeypatch.syspath_prepend(str(folder))
    forget_plugins()
    yield
    forget_plugins()


def forget_plugins() -> None:
    """Registries look for entry points again when they are asked next."""
    for registry in (METHODS, METRICS):
        vars(registry).pop("_modules", None)


@pytest.mark.usefixtures("installed")
def test_plugins_of_the_docs_are_found_by_a_task(make_task: MakeTask) -> None:
    run = call("check", make_task(metric={"least_harm": HARM}, methods=["prompt", "rslora"]))
    assert run.returncode == 0, run.stderr
    assert "metric least_harm" in run.stdout
    assert "rslora: 5 parameters searched" in run.stdout
    wrong = call("check", make_task(metric={"least_harm": {"hram": {}}}))
    assert "unknown setting 'hram': did you mean 'harm'" in wrong.stderr


@pytest.mark.usefixtures("installed")
def test_plugins_of_the_docs_do_a_real_job(tmp_path: Path, tiny_model: Path) -> None:
    jobs = JobRun(tmp_path / "run", causal_lm(tiny_model))
    params = {"r": 8, "learning_rate": 1e-3, "num_train_epochs": 1}
    fit = jobs.fit("rslora", params=params, metric=PluginChoice(name="least_harm", settings=HARM))
    measured = jobs.measure(fit)
    assert {row.stats[0] for row in measured.rows} <= {0.0, 0.8, 1.0}, "a missed tool costs 0.2, anything else 1"
    adapter = json.loads((jobs.artifact(fit) / "adapter_config.json").read_text())
    assert (adapter["use_rslora"], adapter["r"]) == (True, 8)


@pytest.mark.usefixtures("installed")
def test_method_of_the_docs_keeps_the_interface() -> None:
    method = METHODS.get("rslora")
    assert {name for name, spec in method.branch.items() if TypeAdapter(Spec).validate_python(spec)} == {
        "r",
        "learning_rate",
        "num_train_epochs",
    }
    assert all(field.description for field in method.Params.model_fields.values())
