"""Searches with documents, from the command line: found, costed, reported, resumed, and refused where they changed."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import SPACE, call, task_writer
from searches import read, search, states
from town_documents import questions, write_documents

from autoadapt import Study
from autoadapt.errors import Exit
from autoadapt.runs.results import read_results

BRIEF: dict[str, Any] = {
    "budget": {"trials": 5},
    "evaluation": {"rows": 20, "test_rows": 20, "latency_requests": 5, "load_requests": 0, "onnx": False,
                   "learning_curve": False, "final_fit": False, "robustness_rows": 20},
    "compute": {"on_cpu": True, "executor": "inline"},
}  # fmt: skip


def write_task(folder: Path, model: str, **changes: Any) -> Path:
    """A task of questions on documents."""
    task = task_writer(folder, model)(
        **{
            **BRIEF,
            "data": {"path": "data.jsonl", "columns": {"input": "input", "output": "output"}},
            "metric": "exact_match",
            "methods": ["prompt"],
            "documents": {"folder": "docs"},
            **changes,
        }
    )
    write_documents(folder / "docs")
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions()))
    return task


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The task of a finished search."""
    task = write_task(tmp_path_factory.mktemp("searched"), "scripted")
    found = search(task)
    assert found.returncode == 0, found.stderr
    return task


def test_passages_are_searched_and_their_tokens_are_paid_for(searched: Path) -> None:
    raws = Study.load(searched.parent / "runs" / "fruits").raws
    closed = [raw for raw in raws if raw.params["passages"] == 0]
    found = [raw for raw in raws if raw.params["passages"] and not raw.params.get("shots")]
    assert closed
    assert found
    assert all(raw.retrieval_recall is None for raw in closed)
    assert all(raw.retrieval_recall is not None and raw.retrieval_recall > 0.7 for raw in found)
    least = min(raw.tokens_in / raw.rows for raw in found)
    assert least > 40 + min(raw.tokens_in / raw.rows for raw in closed)


def test_verdict_and_report_tell_rows_that_documents_answer_from_others(searched: Path) -> None:
    verdict = read(searched, "verdict.json")
    parts = {part["part"]: part["test_rows"] for part in verdict["parts"]}
    assert verdict["parts_are"] == "kind of row"
    assert {*parts} == {"answered by the documents", "not answered by them"}
    assert sum(parts.values()) == len(Study.load(searched.parent / "runs" / "fruits").answered(verdict["best"]))
    report = (searched.parent / "runs" / "fruits" / "report.html").read_text()
    assert "not answered by them" in report
    shown = call("report", searched.parent / "runs" / "fruits", "--all").stdout
    assert "by kind of row: answered by the documents" in " ".join(shown.split())


def test_resumed_search_repeats_nothing(searched: Path) -> None:
    before = states(searched)
    again = search(searched)
    assert again.returncode == 0, again.stderr
    assert states(searched) == before


def test_changed_documents_are_other_data(searched: Path) -> None:
    file = searched.parent / "docs" / "arden.txt"
    text = file.read_text()
    lock = searched.parent / "runs" / "fruits" / "task.lock.yaml"
    whole = lock.read_text()
    try:
        file.write_text(text.replace("Mrs", "Mr"))
        refused = search(searched)
        lock.write_text("{")
        damaged = search(searched)
    finally:
        file.write_text(text)
        lock.write_text(whole)
    for run in (refused, damaged):
        assert run.returncode == Exit.DATA
        assert "data.documents" in run.stderr


def test_missing_folder_costs_nothing(tmp_path: Path) -> None:
    task = write_task(tmp_path, "scripted", documents={"folder": "nowhere"})
    refused = search(task)
    assert refused.returncode == Exit.DATA
    assert "nowhere: it is missing" in refused.stderr
    assert not (tmp_path / "runs").exists()


def test_proposed_instructions_are_tried_with_passages(tmp_path: Path) -> None:
    proposer = {"scripted": {"model": "scripted", "slots": 1}}
    task = write_task(tmp_path, "scripted", proposer=proposer)
    found = search(task)
    assert found.returncode == 0, found.stderr
    assert list((tmp_path / "runs" / "fruits").glob("trials/*/propose-*/outcome.json"))
    for file in (tmp_path / "runs" / "fruits").glob("trials/*/propose-*/outcome.json"):
        assert json.loads(file.read_text())["result"]["kind"] != "failure"


@pytest.mark.slow
def test_real_model_is_searched_exported_and_asked(tmp_path: Path, tiny_model: Path) -> None:
    space = SPACE.replace("shared:\n", "shared:\n  passages: [2, 0]\n  chunk_words: [15]\n")
    brief = {**BRIEF["evaluation"], "rows": 10, "test_rows": 10, "robustness": False, "max_new_tokens": 3}
    task = write_task(tmp_path, str(tiny_model), budget={"trials": 2}, evaluation=brief)
    (tmp_path / "space.yaml").write_text(space)
    found = search(task)
    assert found.returncode == 0, found.stderr
    root = tmp_path / "runs" / "fruits"
    results = read_results(root)
    prompts = [raw for raw in results.measured if raw.method == "prompt"]  # which of them are shown, times decide
    assert {raw.params["passages"] for raw in prompts} == {0, 2}
    trial = next(raw.trial for raw in prompts if raw.params["passages"] == 2)
    exported = call("export", root, tmp_path / "bundle", "--option", trial)
    assert exported.returncode == 0, exported.stderr
    (tmp_path / "asked.jsonl").write_text(json.dumps({"input": "What is the mayor of Arden?"}) + "\n")
    asked = call("predict", tmp_path / "bundle", tmp_path / "asked.jsonl")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.strip()
