"""Whole searches of tasks whose answers are JSON objects, from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeTask, call
from remote_server import PRICE, chat_server
from searches import outcomes, read, search

from autoadapt import Study

SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["fruit", "tool"]}, "count": {"type": "integer"}},
    "required": ["kind", "count"],
    "additionalProperties": False,
}
KINDS = ("fruit", "tool")
EVALUATION = {
    "rows": 24,
    "test_rows": 30,
    "latency_requests": 5,
    "load_requests": 0,
    "learning_curve": False,
    "final_fit": False,
}


def extraction_task(make_task: MakeTask, model: str, **changes: Any) -> Path:
    """A task of extraction on a model."""
    task = make_task(
        **{
            "task": "extract",
            "schema": "schema.json",
            "metric": None,
            "data": {"path": "data.jsonl"},
            "models": [model],
            "methods": ["prompt"],
            "search_space": "quick",
            "budget": {"trials": 2},
            "evaluation": EVALUATION,
            "search": {"sampler": "random", "rungs": False},
            "floor": False,
            **changes,
        }
    )
    rows = [{"input": f"{i} of kind {KINDS[i % 2]}", "output": {"kind": KINDS[i % 2], "count": i}} for i in range(150)]
    (task.parent / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (task.parent / "schema.json").write_text(json.dumps(SCHEMA))
    return task


def test_report_has_a_table_of_fields(make_task: MakeTask) -> None:
    task = extraction_task(make_task, "scripted")
    run = search(task)
    assert run.returncode == 0, run.stderr
    root = task.parent / "runs" / "fruits"
    verdict = read(task, "verdict.json")
    parts = {part["part"]: part for part in verdict["parts"]}
    assert [*parts] == ["valid JSON of the schema", "kind", "count"]
    assert verdict["parts_are"] == "field"
    option = Study.load(root).recommendation.trial
    stats = [
        json.loads(line) for line in (root / f"trials/{option:04d}/predictions-test.jsonl").read_text().splitlines()
    ]
    share = sum(line["score"] for line in stats) / len(stats)
    assert 0 < share < 1
    assert [part["test_score"] for part in parts.values()] == pytest.approx([share] * 3)
    assert "by field: valid JSON of the schema" in " ".join(call("report", root, "--all").stdout.split())
    assert "How good are the parts of an answer?" in (root / "report.html").read_text()


@pytest.mark.slow
def test_evaluation_of_a_bundle_shows_fields(make_task: MakeTask) -> None:
    task = extraction_task(make_task, "scripted")
    assert search(task).returncode == 0
    root, bundle = task.parent / "runs" / "fruits", task.parent / "bundle"
    exported = call("export", root, bundle)
    assert exported.returncode == 0, exported.stderr
    evaluated = call("evaluate", bundle, task.parent / "data.jsonl")
    assert evaluated.returncode == 0, evaluated.stderr
    assert "  kind: " in evaluated.stdout


def test_server_is_held_to_the_schema(make_task: MakeTask) -> None:
    with chat_server() as (url, chat):
        name = f"server:m@{url}"
        task = extraction_task(make_task, name, remote={name: {"price": PRICE}})
        run = search(task)
        assert run.returncode == 0, run.stderr
        held = [b for b in chat.ledger.bodies if "kind" in str(b.get("response_format"))]
        assert held
        assert held[-1]["response_format"]["json_schema"] == {"name": "answer", "strict": True, "schema": SCHEMA}
        scores = [[row["stats"][0] for row in measured["rows"]] for measured in outcomes(task).values()]
        assert max(map(min, scores)) == 1.0
