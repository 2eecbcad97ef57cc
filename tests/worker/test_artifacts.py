"""Artifacts: what was fitted answers alike when it is loaded, wherever the folder lies; damage is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import slow_after
from job_runs import DEVICES, SPLITS, JobRun, causal_lm, scripted

from autoadapt.domain.artifact import DESCRIPTION_FILE, EXAMPLES_FILE, ArtifactDescription
from autoadapt.errors import UserError
from autoadapt.shelves import FAMILIES
from autoadapt.worker.artifacts import load_artifact, read_description
from autoadapt.worker.measuring import rows_of
from autoadapt.worker.workshop import Workshop

NEAREST = {"shots": 4, "selector": "nearest"}
BALANCED = {"shots": 4, "selector": "balanced", "label_score": "calibrated"}


def texts(folder: Path, jobs: JobRun) -> list[str]:
    """Answers to the validation rows of an artifact that a new process would give."""
    adapted = load_artifact(folder, Workshop(), DEVICES, lambda: None)
    inputs = [row.input for row in rows_of(jobs.root, "validation")]
    adapted.prepare(inputs)
    answers = [answer.text for answer in adapted.answer(inputs)]
    adapted.close()
    return answers


@pytest.mark.parametrize("text", [False, True], ids=["labels", "text"])
@pytest.mark.parametrize(
    ("method", "params"),
    slow_after(3, [("prompt", NEAREST), ("prompt", BALANCED), ("lora", {}), ("full", {}), ("ia3", {})]),
    ids=["nearest", "balanced", "lora", "full", "ia3"],
)
def test_a_moved_artifact_answers_as_the_job_that_made_it(
    tiny_model: Path, tmp_path: Path, method: str, params: dict[str, Any], text: bool
) -> None:
    jobs = JobRun(tmp_path / "run", causal_lm(tiny_model), text)
    if text:
        params = {name: value for name, value in params.items() if name != "label_score"}
    job = jobs.fit(method, params=params)
    jobs.measure(job)
    expected = [json.loads(line)["answer"] for line in jobs.predictions(job).splitlines()]
    moved = tmp_path / "elsewhere" / "option"
    moved.parent.mkdir()
    shutil.move(jobs.artifact(job), moved)
    shutil.rmtree(jobs.root / "trials")
    assert texts(moved, jobs) == expected


def test_an_artifact_finds_its_base_model_by_name_on_another_machine(tmp_path: Path) -> None:
    embedded = FAMILIES.get("causal_lm").find("embedded", tmp_path, download=False)
    jobs = JobRun(tmp_path / "run", embedded)
    job = jobs.fit("prompt")
    jobs.measure(job)
    file = jobs.artifact(job) / DESCRIPTION_FILE
    file.write_text(file.read_text().replace(embedded.location, "/not/on/this/machine"))
    expected = [json.loads(line)["answer"] for line in jobs.predictions(job).splitlines()]
    assert texts(jobs.artifact(job), jobs) == expected
    file.write_text(file.read_text().replace('"name": "embedded"', '"name": "embeded"'))
    with pytest.raises(UserError, match="no such folder"):
        texts(jobs.artifact(job), jobs)


def test_scoring_loads_the_artifact_and_repeats_the_answers(tiny_model: Path, tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", causal_lm(tiny_model))
    shutil.copy(jobs.root / "data" / "validation.jsonl", jobs.root / "data" / "test.jsonl")
    for trial, method in enumerate(("prompt", "lora", "full", "ia3")):
        job = jobs.fit(method, trial=trial)
        fitted, scored = jobs.measure(job), jobs.measure(jobs.score(job))
        assert [r.stats for r in scored.rows] == [r.stats for r in fitted.rows][: SPLITS["test"]]
        assert scored.artifact_bytes == fitted.artifact_bytes


def test_an_artifact_holds_all_rows_only_where_examples_differ_from_query_to_query(tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", scripted())
    lines = {}
    for trial, params in enumerate(({}, BALANCED, NEAREST)):
        job = jobs.fit("prompt", trial=trial, params=params)
        jobs.measure(job)
        file = jobs.artifact(job) / EXAMPLES_FILE
        lines[str(params.get("selector"))] = len(file.read_text().splitlines()) if file.exists() else 0
    assert lines == {"None": 0, "balanced": 4, "nearest": SPLITS["train"]}


def test_the_description_lists_every_other_file(tiny_model: Path, tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", causal_lm(tiny_model))
    job = jobs.fit("lora")
    jobs.measure(job)
    folder = jobs.artifact(job)
    description = read_description(folder)
    files = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}
    assert set(description.files) == files - {DESCRIPTION_FILE}
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json"} <= files
    assert not [f for f in files if f.endswith((".bin", ".pt", ".pkl"))]
    assert description.weights == "adapter"
    assert not list(folder.parent.glob(".artifact*")), "a temporary folder was left"


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda f: (f / "scripted.json").unlink(), "scripted.json is missing"),
        (lambda f: (f / "scripted.json").write_text("{}"), "scripted.json has 2 bytes instead of"),
        (
            lambda f: (f / "scripted.json").write_text((f / "scripted.json").read_text().replace("quality", "qualitz")),
            "the content of scripted.json was changed",
        ),
        (lambda f: (f / EXAMPLES_FILE).write_text(""), "examples.jsonl has 0 bytes"),
        (lambda f: (f / DESCRIPTION_FILE).unlink(), "option.json is missing"),
        (lambda f: (f / DESCRIPTION_FILE).write_text('{"version": 1'), "option.json is damaged"),
    ],
)
def test_a_damaged_artifact_is_refused(tmp_path: Path, damage: Any, expected: str) -> None:
    jobs = JobRun(tmp_path / "run", scripted())
    job = jobs.fit("prompt", params=BALANCED)
    jobs.measure(job)
    damage(jobs.artifact(job))
    with pytest.raises(UserError, match=expected):
        load_artifact(jobs.artifact(job), Workshop(), DEVICES, lambda: None)
    failure = jobs.failure(jobs.score(job))
    assert (failure.failure_class, failure.stage) == ("data", "load")
    assert str(jobs.artifact(job)) in failure.reason


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda f: (f / "chat_template.jinja").write_text("{{ 1 }}"), "chat_template.jinja is not listed"),
        (lambda f: _move(f, f / "scripted.json", f.parent / "moved.json"), "scripted.json is a link"),
        (lambda f: _rename(f, "scripted.json", "../scripted.json"), "lies outside"),
        (lambda f: _rename(f, "scripted.json", "/dev/zero"), "lies outside"),
    ],
)
def test_files_that_are_not_of_the_artifact_are_refused(tmp_path: Path, damage: Any, expected: str) -> None:
    jobs = JobRun(tmp_path / "run", scripted())
    job = jobs.fit("prompt")
    jobs.measure(job)
    (jobs.artifact(job) / ".DS_Store").write_text("of a file manager")
    read_description(jobs.artifact(job))
    damage(jobs.artifact(job))
    with pytest.raises(UserError, match=expected):
        read_description(jobs.artifact(job))


def _move(folder: Path, file: Path, target: Path) -> None:
    file.rename(target)
    file.symlink_to(target)


def _rename(folder: Path, name: str, other: str) -> None:
    file = folder / DESCRIPTION_FILE
    file.write_text(file.read_text().replace(f'"{name}"', f'"{other}"'))


def test_an_adapter_that_is_pickled_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", causal_lm(tiny_model))
    job = jobs.fit("lora")
    jobs.measure(job)
    folder = jobs.artifact(job)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    _rename(folder, "adapter_model.safetensors", "adapter_model.bin")
    failure = jobs.failure(jobs.score(job))
    assert failure.failure_class == "data"
    assert "it has no adapter_model.safetensors" in failure.reason


def test_an_artifact_that_cannot_be_written_leaves_the_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = JobRun(tmp_path / "run", scripted())
    job = jobs.fit("prompt")
    jobs.measure(job)
    before = (jobs.artifact(job) / DESCRIPTION_FILE).read_bytes()

    def full_disk(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("autoadapt.worker.artifacts.hash_files", full_disk)
    failure = jobs.failure(jobs.fit("prompt", attempt=1))
    assert (failure.failure_class, failure.stage) == ("disk", "save")
    assert (jobs.artifact(job) / DESCRIPTION_FILE).read_bytes() == before
    assert ArtifactDescription.model_validate_json(before).candidate == job.candidate
