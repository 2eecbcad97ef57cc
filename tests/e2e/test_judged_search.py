"""Whole searches whose quality is what a judge behind a server says, from the command line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeTask, call
from remote_server import PRICE, Chat, Judging, chat_server
from searches import events, read, search

from autoadapt import Study


def write_human(task: Path) -> None:
    """Sixty graded answers: the words of a reference, more and fewer of them."""
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
    rows = [
        {"input": f"q{i}", "reference": " ".join(words), "answer": " ".join(words[: i % 11]) or "no", "score": i % 11}
        for i in range(60)
    ]
    (task.parent / "human.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def judged_task(make_task: MakeTask, url: str, **changes: Any) -> Path:
    """A task of free text on a scripted model, graded by the server's model."""
    name = f"server:m@{url}"
    settings = {
        "metric": {"judge": {"model": name, "human": "human.jsonl"}},
        "remote": {name: {"price": PRICE}},
        "methods": ["prompt"],
        "budget": {"trials": 3},
        **changes,
    }
    task = make_task(**settings)
    write_human(task)
    return task


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Chat]]:
    """A finished search with a judge that is 0.2 too kind, and its server."""
    from conftest import task_writer

    with chat_server(judges=Judging(bias=-0.2)) as (url, chat):
        task = judged_task(task_writer(tmp_path_factory.mktemp("judged"), "scripted"), url)
        run = search(task, "--json")
        assert run.returncode == 0, run.stderr
        (task.parent / "events.json").write_text(run.stdout)
        yield task, chat


def test_judge_is_paid_for_within_the_search_and_not_in_what_an_option_costs(found: tuple[Path, Chat]) -> None:
    task, chat = found
    root = task.parent / "runs" / "fruits"
    study = Study.load(root)
    outcomes = [json.loads(file.read_text()) for file in root.glob("trials/*/*/outcome.json")]
    judging = sum(one["result"].get("judging", {}).get("usd", 0.0) for one in outcomes)
    assert judging > 0
    assert judging < chat.ledger.usd, "the rest was paid for its qualification"
    assert study.results.spent.usd >= chat.ledger.usd - 1e-9
    assert all(raw.answering.usd == 0 for raw in study.raws)


def test_quality_is_corrected_and_the_report_says_how(found: tuple[Path, Chat]) -> None:
    task, _ = found
    root = task.parent / "runs" / "fruits"
    known = read(task, "judge.json")
    outcome = read(task, "trials/0000/rung0/outcome.json")
    scores = [row["stats"][0] for row in outcome["result"]["rows"]]
    study = Study.load(root)
    raw = study.raw(0)
    assert raw is not None
    assert raw.quality == pytest.approx(min(1.0, sum(scores) / len(scores) - known["bias"]))
    low, high = raw.quality_ci
    assert high - low > 2 * known["standard_error"]
    report = call("report", root, "--all").stdout
    assert "are corrected by its mean error on 60 answers that people have graded" in " ".join(report.split())
    assert "In differences of two options it cancels" in (root / "report.html").read_text()
    notes = [
        event["message"]
        for line in (task.parent / "events.json").read_text().splitlines()
        if (event := json.loads(line))["event"] == "note"
    ]
    assert any("rank correlation with people" in note for note in notes)


def test_resumed_search_asks_the_judge_nothing_again(found: tuple[Path, Chat]) -> None:
    task, chat = found
    before = gradings(chat)
    root = task.parent / "runs" / "fruits"
    for file in root.glob("trials/*/rung0/outcome.json"):
        file.unlink()
    for name in ("study.db", "results.json"):
        (root / name).unlink()
    assert search(task).returncode == 0
    # what the end of a search has time for, and so which rows it scores, may differ; no grading is asked for again
    assert before
    assert not {*gradings(chat)[len(before) :]} & {*before}


def gradings(chat: Chat) -> list[str]:
    """What was asked of the server as a judge."""
    return [text for body in chat.ledger.bodies if "You grade an answer." in (text := json.dumps(body))]


def test_judge_that_is_refused_leaves_no_trial(make_task: MakeTask) -> None:
    with chat_server(judges=Judging(honest=False)) as (url, _):
        task = judged_task(make_task, url)
        run = search(task)
        assert run.returncode == 2
        assert "is refused as an objective" in run.stderr
        assert not [*(task.parent / "runs" / "fruits").glob("trials/*")]


def test_check_tells_what_a_judge_needs(make_task: MakeTask) -> None:
    task = judged_task(make_task, "http://127.0.0.1:1/v1")
    (task.parent / "human.jsonl").write_text("")
    checked = call("check", task)
    assert checked.returncode == 3
    assert "line 3, metric: " in checked.stderr
    assert "0 graded answers; at least 50 are needed" in checked.stderr
    unpriced = judged_task(make_task, "http://example.com/v1", remote={})
    checked = call("check", unpriced)
    assert checked.returncode == 2
    assert "what it costs is not known and not guessed" in checked.stderr
    local = judged_task(make_task, "", metric={"judge": {"model": "embedded", "human": "human.jsonl"}}, remote={})
    assert "name one behind a server" in call("check", local).stderr


@pytest.mark.slow
def test_plan_counts_the_judge(make_task: MakeTask) -> None:
    with chat_server() as (url, chat):
        task = judged_task(make_task, url)
        planned = call("plan", task, "--runs", task.parent / "runs")
        assert planned.returncode == 0, planned.stderr
        sent = chat.ledger.requests
        run = search(task, "--json")
        assert run.returncode == 0, run.stderr
        assert chat.ledger.requests > sent
        assert not [e for e in events(run) if e["event"] == "trial_failed"]
        qualifying = [
            b
            for b in chat.ledger.bodies[sent:]
            if "begin input]\nq1\n" in str(b.get("messages", [{}])[0].get("content"))
        ]
        assert not qualifying, "the plan has asked for it"


def test_other_graded_answers_make_another_study(found: tuple[Path, Chat]) -> None:
    task, _ = found
    human = task.parent / "human.jsonl"
    before = human.read_text()
    human.write_text(before + before.splitlines(keepends=True)[3])
    try:
        refused = search(task)
    finally:
        human.write_text(before)
    assert refused.returncode != 0
    assert "files of the metric: was" in refused.stderr
