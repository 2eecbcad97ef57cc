"""Whole searches on models behind a server, from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import SPACE, MakeTask, call
from remote_server import PRICE, chat_server, faulty_proxy
from searches import events, outcomes, read, search, states

from autoadapt import Study

REMOTE_SPACE = SPACE.split("  lora:")[0].replace(
    "    label_score:", "    label_way: [schema, logprobs, text]\n    label_score:"
)
EVALUATION = {
    "rows": 36,
    "test_rows": 30,
    "latency_requests": 5,
    "load_requests": 20,
    "load_seconds": 0.5,
    "robustness": False,
    "learning_curve": False,
}


def task_on(make_task: MakeTask, url: str, models: tuple[str, ...] = (), **changes: Any) -> Path:
    """A task on the server's model."""
    name = f"server:m@{url}"
    settings = {"price": PRICE, "timeout_s": 0.6, **changes.pop("settings", {})}
    return make_task(
        **{
            "space": REMOTE_SPACE,
            "models": [name, *models],
            "remote": {name: settings},
            "methods": ["prompt"],
            "evaluation": EVALUATION,
            "search": {"sampler": "random", "rungs": False},
            "floor": False,
            **changes,
        }
    )


def test_a_search_pays_what_the_server_bills_and_a_resumed_one_pays_nothing(make_task: MakeTask) -> None:
    with chat_server() as (url, chat):
        task = task_on(make_task, url, ("scripted",), budget={"trials": 6})
        found = search(task)
        assert found.returncode == 0, found.stderr
        root = task.parent / "runs" / "fruits"
        bill, sent = chat.ledger.usd, chat.ledger.requests
        study = Study.load(root)
        remote = [raw for raw in study.raws if raw.model.startswith("server:")]
        local = [raw for raw in study.raws if raw.model == "scripted"]
        assert remote
        assert local, "both are options of one study"
        billed = sum(json.loads(f.read_text())["usage"]["usd"] for f in root.glob("trials/*/*/outcome.json"))
        assert billed == pytest.approx(bill, rel=0.05), "all but the few test requests stands in outcomes"
        compared = {option.trial: option for option in study.compare({"same": {}})[0].options}
        assert compared.keys() & {raw.trial for raw in remote}
        for raw in remote:
            per_1k = raw.answering.usd / raw.rows * 1000
            assert raw.values["cost_usd_per_1k"] == pytest.approx(per_1k)
            if raw.trial in compared:
                assert compared[raw.trial].inference_usd_per_1k == pytest.approx(per_1k)
            assert raw.load is None, "others' load on a server is not known"
            assert not (root / f"trials/{raw.trial:04d}/load_test").exists()

        again = search(task)
        assert again.returncode == 0
        assert (chat.ledger.requests, chat.ledger.usd) == (sent, bill), "a finished run sends nothing"
        # the outcomes are lost, the answers are kept: the same trials are measured again for nothing
        for file in root.glob("trials/*/rung0/outcome.json"):
            file.unlink()
        for name in ("study.db", "results.json"):
            (root / name).unlink()
        before = outcomes(task)
        for folder in (root / "trials").iterdir():
            for job in folder.glob("rung*"):
                for file in job.iterdir():
                    file.unlink()
                job.rmdir()
        repeated = search(task)
        assert repeated.returncode == 0, repeated.stderr
        assert outcomes(task).keys() >= before.keys()
        assert chat.ledger.requests == sent, "repeated trials find every answer kept"


def test_faults_and_a_small_budget(make_task: MakeTask) -> None:
    """F16: several workers, a spoilt fifth of the requests, and money that ends in the middle."""
    with chat_server() as (url, chat), faulty_proxy(url, seed=11, quiet=7) as (spoilt, injected):
        cap = 0.006
        task = task_on(
            make_task,
            spoilt,
            budget={"usd": cap},
            economics={"usd_per_hour": 0},
            compute={"on_cpu": True, "slots": 2},
        )
        found = search(task, "--json")
        assert found.returncode in (0, 6), found.stderr
        largest = max(len(json.dumps(b)) for b in chat.ledger.bodies) * PRICE["input"] / 1e6
        assert chat.ledger.usd <= cap + largest
        assert chat.ledger.usd > 0.3 * cap
        assert sum(n for fault, n in injected.items() if fault) > 5
        spent = read(task, "results.json")["spent"]["usd"]
        assert chat.ledger.usd <= spent <= cap + largest
        assert "COMPLETE" in states(task)
        assert not [e for e in events(found) if e["event"] == "trial_failed"]


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ({"answer": (401, '{"error": {"message": "no such key"}}')}, "status 401: no such key"),
        ({"answer": (402, '{"error": {"message": "pay first"}}')}, "status 402: pay first"),
        ({"answer": (403, '{"error": {"message": "not you"}}')}, "status 403: not you"),
        ({"answer": (200, "<html>hello</html>")}, "text/html that is not JSON"),
        ({"answer": (200, "")}, "an empty answer"),
        ({"answer": (404, '{"error": {"message": "no model m"}}')}, "status 404: no model m"),
    ],
)
def test_a_server_that_cannot_be_used_ends_the_search_before_it_begins(
    make_task: MakeTask, behaviour: dict[str, Any], said: str
) -> None:
    with chat_server(**behaviour) as (url, _):
        task = task_on(make_task, url)
        checked = call("check", task)
        assert checked.returncode == 0, checked.stderr
        ended = search(task)
    assert ended.returncode == 7
    assert said in ended.stderr
    assert len(ended.stderr.strip().splitlines()) <= 3
    assert not (task.parent / "runs" / "fruits" / "study.db").exists()


def test_nobody_there(make_task: MakeTask) -> None:
    ended = search(task_on(make_task, "http://127.0.0.1:9/v1"))
    assert ended.returncode == 7
    assert "no connection" in ended.stderr


def test_check_sends_nothing(make_task: MakeTask) -> None:
    with chat_server() as (url, chat):
        assert call("check", task_on(make_task, url)).returncode == 0
        assert not chat.ledger.bodies


def test_an_unknown_price_is_asked_for(make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    for models, said in (
        (["openai:no-such-model"], "no token price of a model called 'no-such-model'"),
        (["server:m@http://example.org/v1"], "not known and not guessed"),
    ):
        refused = call("check", make_task(models=models, methods=["prompt"], space=REMOTE_SPACE))
        assert refused.returncode == 2
        assert said in refused.stderr
        assert "price: {input:" in refused.stderr
    known = call("check", make_task(models=["openai:gpt-5-mini"], methods=["prompt"], space=REMOTE_SPACE))
    assert known.returncode == 0, known.stderr


def test_keys_are_references(make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "server:m@http://127.0.0.1:9/v1"
    refused = call("check", make_task(models=[name], remote={name: {"key": "sk-literal-secret"}}))
    assert refused.returncode == 2
    assert "${NAME}" in refused.stderr
    assert "literal-secret" not in refused.stderr + refused.stdout
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    unset = call("check", make_task(models=["openai:gpt-5-mini"]))
    assert unset.returncode == 2
    assert "OPENAI_API_KEY is not set" in unset.stderr
    other = call("check", make_task(remote={"server:m": {}}))
    assert "no model behind a server" in other.stderr
    typo = call("check", make_task(models=[name], remote={name: {"timeout": 3}}))
    assert "did you mean 'timeout_s'" in typo.stderr


def test_nothing_can_be_tuned_behind_a_server(make_task: MakeTask) -> None:
    with chat_server() as (url, _):
        checked = call("check", task_on(make_task, url, methods=["prompt", "lora"], space=SPACE))
    assert checked.returncode == 0, checked.stderr
    assert "lora is left out" in checked.stdout + checked.stderr


def test_a_plan_counts_what_a_provider_will_bill_and_its_answers_are_not_paid_for_twice(make_task: MakeTask) -> None:
    with chat_server() as (url, chat):
        task = task_on(make_task, url, budget={"trials": 2}, economics={"usd_per_hour": 0})
        planned = call("plan", task, "--runs", task.parent / "runs", "--json")
        assert planned.returncode == 0, planned.stderr
        paid, plan = chat.ledger.usd, json.loads(planned.stdout)
        assert search(task).returncode == 0
        spent = read(task, "results.json")["spent"]["usd"]
        assert spent == pytest.approx(chat.ledger.usd), "the plan's test requests and answers are in it"
        assert spent > paid > 0
        assert plan["usd"]["low"] / 2 < spent < plan["usd"]["high"] * 2
        assert 0 < plan["cheapest_usd"] < spent
