"""A search where rows have a set of labels each: word models and an encoder on one frontier, by micro F1."""

import json
from pathlib import Path

from conftest import SPACE, MakeTask
from label_set_rows import set_rows
from searches import events, read, search

from autoadapt.api.study import Study

SET_SPACE = f"""{SPACE.split("first:")[0]}\
  full@encoder: {{learning_rate: {{low: 1.5e-3, high: 3.0e-3, log: true}}, num_train_epochs: 15, batch_size: 8}}
"""


NO_SERVER = "server:m@http://127.0.0.1:9/v1"
"""It is left out, so that it is not asked and need not answer."""


def set_task(make_task: MakeTask, **changes: object) -> Path:
    """A task whose rows have a set of labels each."""
    task = make_task(
        space=SET_SPACE,
        **{"metric": "micro_f1", "methods": ["full"], "floor": True, "budget": {"trials": 2}} | changes,
    )
    (task.parent / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in set_rows(220)))
    return task


def test_search_over_sets_of_labels(make_task: MakeTask, tiny_encoder: Path) -> None:
    task = set_task(
        make_task,
        models=[str(tiny_encoder), "scripted", NO_SERVER],
        data={"path": "data.jsonl", "columns": {"input": "text", "output": "label"}},
    )
    run = search(task, "--json", "--set", "evaluation.test_rows=40")
    assert run.returncode == 0, run.stderr
    notes = [e["message"] for e in events(run) if e["event"] == "note"]
    for left_out in ("scripted", NO_SERVER):
        assert f"{left_out} is left out: no method that the task names can be used with it" in notes
    study = Study.load(task.parent / "runs" / "fruits")
    best: dict[str, float] = {}
    for row in study.rows:
        best[row.method] = max(best.get(row.method, 0.0), row.quality or 0.0)
    assert {*best} == {"majority", "tfidf", "full"}
    assert best["tfidf"] > best["majority"] + 0.3
    assert best["full"] > best["majority"] + 0.1
    chosen = read(task, "recommendations.json")[0]
    option = next(o for o in study.options if o.trial == chosen["trial"])
    assert option.test_quality is not None
    lines = (task.parent / "runs" / "fruits" / "trials" / f"{option.trial:04d}" / "predictions-test.jsonl").read_text()
    pairs = [
        (set(line["expected"][0].split(" | ")) - {""}, set(line["answer"].split(" | ")) - {""})
        for line in map(json.loads, lines.splitlines())
    ]
    right = sum(len(t & p) for t, p in pairs)
    assert option.test_quality == 2 * right / sum(len(t) + len(p) for t, p in pairs)
    assert "micro_f1 on " in (task.parent / "runs" / "fruits" / "report.html").read_text()


def test_list_of_labels_under_a_metric_of_one_label_is_refused(make_task: MakeTask) -> None:
    run = search(set_task(make_task, metric="accuracy", models=["scripted"]))
    assert run.returncode == 3
    assert "data.jsonl, line 1: column 'label' holds a list" in run.stderr
    assert "metric: micro_f1" in run.stderr


def test_models_that_choose_one_label_only_are_refused_where_sets_are_asked_for(make_task: MakeTask) -> None:
    run = search(set_task(make_task, methods=["prompt", "full"], models=["scripted"], floor=False))
    assert run.returncode != 0
    assert "prompt: scripted lacks answers_label_sets" in run.stderr
