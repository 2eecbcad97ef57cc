"""A search with entries of the prompt library: what it records, that it resumes, and what is saved of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import EVALUATION, SPACE, MakeTask, call, task_writer
from searches import read, search, states

from autoadapt import Bundle, Study, lint_prompts
from autoadapt.runs.lock import check_same
from autoadapt.runs.winning_prompt import winning_prompt
from autoadapt.tasks.prompt_library import PromptLibrary, read_entry
from autoadapt.tasks.resolve import resolve

SETTINGS: dict[str, Any] = {
    "methods": ["prompt"],
    "search": {"sampler": "random"},
    "compute": {"on_cpu": True, "executor": "inline"},
    "prompts": {"use": ["classify-expert", "classify-terse"], "variables": {"persona": "a grocer"}},
    "evaluation": {**EVALUATION, "latency_requests": 5},
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The task of a search that was resumed once."""
    make = task_writer(tmp_path_factory.mktemp("library"), "scripted")
    assert search(make(budget={"trials": 3}, **SETTINGS)).returncode == 0
    task = make(budget={"trials": 8}, **SETTINGS)
    assert search(task).returncode == 0
    return task


def test_search_records_which_version_of_which_entry_it_has_used(searched: Path) -> None:
    root = searched.parent / "runs" / "fruits"
    stored = read(searched, "task.lock.yaml")["prompts"]
    expert = PromptLibrary().find("classify-expert").entry.with_variables({"persona": "a grocer"})
    assert stored["classify-expert"]["version"] == expert.version
    assert len(states(searched)) >= 8
    named = set()
    for file in root.glob("trials/*/rung0/job.json"):
        job = json.loads(file.read_text())
        template = job["candidate"]["params"]["template"]
        version = f"{template}@{stored[template]['version']}" if template in stored else ""
        assert job["prompt"]["entry"] == version
        assert ("instruction" in job["candidate"]["params"]) == (template not in stored)
        named.add(version)
    assert len(named) > 1
    artifact = next(
        f for f in root.glob("trials/*/artifact/option.json") if '"entry":"classify' in f.read_text().replace(" ", "")
    )
    assert json.loads(artifact.read_text())["prompt"]["entry"] in named


def test_another_value_of_a_variable_is_another_question(searched: Path, tmp_path: Path) -> None:
    changed = {**SETTINGS, "prompts": {"use": ["classify-expert", "classify-terse"]}}
    task = task_writer(tmp_path, "scripted")(budget={"trials": 9}, **changed)
    refused = call("search", task, "--runs", searched.parent / "runs")
    assert refused.returncode == 2
    assert "templates.classify-expert: was" in refused.stderr


def test_lock_of_an_earlier_version_is_read_and_resumed(finished: Path, tmp_path: Path) -> None:
    content = json.loads((finished.parent / "runs" / "fruits" / "task.lock.yaml").read_text())
    del content["prompts"], content["task"]["prompts"]
    root = tmp_path / "fruits"
    shutil.copytree(finished.parent / "runs" / "fruits", root)
    (root / "task.lock.yaml").write_text(json.dumps(content))
    assert Study.load(root).task.prompts.folders == []
    check_same(root / "task.lock.yaml", resolve(finished))
    assert winning_prompt(Study.load(root)).id.startswith("fruits-")


def test_best_prompt_is_saved_with_its_score_and_used_again(
    searched: Path, tmp_path: Path, make_task: MakeTask
) -> None:
    root, folder = searched.parent / "runs" / "fruits", tmp_path / "won"
    study = Study.load(root)
    best = max(study.raws, key=lambda raw: raw.quality_expected)
    first = call("prompts", "save", root, folder)
    assert first.returncode == 0
    (file,) = folder.iterdir()
    entry = read_entry(file).entry
    (result,) = entry.results
    quality, (low, high) = best.best_known_quality
    assert (result.option, result.quality, result.low, result.high) == (str(best.trial), quality, low, high)
    assert (result.study, result.metric, result.model) == ("fruits", "accuracy", "scripted")
    job = json.loads((root / "trials" / f"{best.trial:04d}" / "rung0" / "job.json").read_text())
    assert (entry.bound_template, entry.bound_instruction.strip()) in [
        (job["prompt"]["template"], job["prompt"]["instruction"].strip()),
        (job["prompt"]["template"], ""),  # the template shows no instruction
    ]
    again = call("prompts", "save", root, folder)
    assert "which was there already and has 1 result now" in again.stdout
    assert not lint_prompts(folder)[0].failed
    task = make_task(**{**SETTINGS, "prompts": {"folders": ["won"]}})
    assert entry.id in resolve(task).space.space.entries


def test_entry_that_was_used_is_saved_as_it_is_in_the_library(searched: Path, tmp_path: Path) -> None:
    root = searched.parent / "runs" / "fruits"
    number = next(raw.trial for raw in Study.load(root).raws if raw.params["template"] == "classify-expert")
    assert call("prompts", "save", root, tmp_path / "won", "--option", number).returncode == 0
    entry = read_entry(tmp_path / "won" / "classify-expert.yaml").entry
    expert = PromptLibrary().find("classify-expert").entry.with_variables({"persona": "a grocer"})
    assert entry.model_copy(update={"results": []}) == expert
    wrong = call("prompts", "save", root, tmp_path / "won", "--option", "99")
    assert (wrong.returncode, "trial 99 has no prompt" in wrong.stderr) == (3, True)


def test_bundle_names_the_entry_that_a_space_tries_first(make_task: MakeTask, tmp_path: Path) -> None:
    first = "first:\n  - {method: prompt, template: classify-expert, shots: 2, selector: balanced}\n"
    space = "prompts: [classify-expert]\n" + SPACE.split("first:")[0] + first
    settings = {name: value for name, value in SETTINGS.items() if name != "prompts"}
    task = make_task(space=space, budget={"trials": 1}, **settings)
    assert search(task).returncode == 0
    done = call("export", tmp_path / "runs" / "fruits", tmp_path / "bundle", "--option", 0)
    assert done.returncode == 0, done.stderr
    name = PromptLibrary().find("classify-expert").entry.name
    part = json.loads((tmp_path / "bundle" / "option.json").read_text())["parts"][0]
    assert part["prompt_entry"] == name
    assert f"prompt_entry: {name}" in (tmp_path / "bundle" / "prompt.yaml").read_text()
    with Bundle.load(tmp_path / "bundle") as bundle:
        assert bundle.predict(["a ripe mango"])[0].answer
