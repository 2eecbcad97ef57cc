"""Models behind a server: every way to ask for labels, free text, what it costs, what is kept, what goes wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import TEXTS
from job_runs import DEVICES, JobRun, quality
from remote_server import PRICE, Chat, busy_seconds, chat_server, faulty_proxy

from autoadapt.domain.model import ModelReference
from autoadapt.domain.outcome import Failure, Measurement, Outcome
from autoadapt.domain.remote import RemoteModel
from autoadapt.models.remote import Remote
from autoadapt.providers.answer_store import billed_by_job
from autoadapt.worker.artifacts import load_artifact
from autoadapt.worker.measuring import rows_of


def remote(url: str, **settings: Any) -> ModelReference:
    """A model behind a server, as the resolved task refers to it."""
    stated = RemoteModel.model_validate({"model": "m", "price": PRICE, "timeout_s": 5.0, **settings})
    return ModelReference(
        name=f"server:m@{url}",
        family="remote",
        location=url,
        settings=stated.model_dump(mode="json", exclude_defaults=True),
    )


@pytest.fixture
def server() -> Iterator[tuple[str, Chat]]:
    with chat_server() as one:
        yield one


def predictions(jobs: JobRun, job: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in jobs.predictions(job).splitlines()]


@pytest.mark.parametrize("way", ["schema", "logprobs", "decisions"])
def test_labels_of_a_shortlist_are_offered_alone(server: tuple[str, Chat], tmp_path: Path, way: str) -> None:
    url, _ = server
    jobs = JobRun(tmp_path / "run", remote(url))
    job = jobs.fit("prompt", params={"label_way": way, "shots": 2, "shortlist": 2, "selector": "nearest"})
    measured = jobs.measure(job)
    assert measured.shortlist_recall is not None
    assert 0.5 < measured.shortlist_recall <= 1.0
    assert measured.answering.device_seconds.get(DEVICES.kind, 0.0) > 0, "choosing labels takes time here"
    assert measured.training.device_seconds[DEVICES.kind] > 0
    adapted: Any = load_artifact(jobs.root / job.artifact_folder, jobs.workshop, DEVICES, lambda: None)
    asked = [
        (adapted.asked(row.input), line)
        for row, line in zip(rows_of(jobs.root, "validation"), predictions(jobs, job), strict=True)
    ]
    adapted.close()
    for one, line in asked:
        assert len(one.offered) == 2
        assert line["answer"] in one.offered
        if way == "schema":
            assert one.question.choices == one.offered
        else:
            others = [p for label, p in zip(sorted(TEXTS), line["log_probs"], strict=True) if label not in one.offered]
            assert others == pytest.approx([-20.7233], abs=0.01), "the label that was not offered"
    if way == "logprobs":
        assert "A. " + asked[0][0].offered[0] in asked[0][0].question.prompt


def test_examples_by_vectors_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    model = remote("http://127.0.0.1:9")
    jobs = JobRun(tmp_path / "run", model)
    job = jobs.fit("prompt", params={"shots": 2, "selector": "nearest_embedding"})
    reason = Remote().obstacle(model, job, {})
    assert reason is not None
    assert "selector nearest_embedding compares vectors of texts" in reason


@pytest.mark.parametrize("way", ["schema", "logprobs", "decisions", "text"])
@pytest.mark.parametrize("shots", [0, 2])
def test_labels_in_every_way(server: tuple[str, Chat], tmp_path: Path, way: str, shots: int) -> None:
    url, chat = server
    jobs = JobRun(tmp_path / "run", remote(url))
    job = jobs.fit("prompt", params={"label_way": way, "shots": shots, "selector": "balanced"})
    measured = jobs.measure(job)
    assert quality(measured) == pytest.approx(31 / 36, abs=1 / 36)
    assert measured.rows_failed == measured.rows_unusable == 0
    assert measured.served_by == ["m-2026" if way == "decisions" else "m-2026 fp_7"]
    first = predictions(jobs, job)[0]
    body = next(b for b in chat.ledger.bodies if "no. 72" in json.dumps(b))
    if way == "schema":
        assert body["response_format"]["json_schema"]["schema"]["properties"]["label"]["enum"] == sorted(TEXTS)
        assert measured.rows[0].confidence == pytest.approx(0.8)
    if way == "logprobs":
        assert sorted(first["log_probs"]) == pytest.approx([-2.3026, -2.3026, -0.2231], abs=0.01)
        assert "letter alone" in body["messages"][0]["content"]
        assert measured.rows[0].confidence == pytest.approx(0.8)
    if way == "decisions":
        assert body["path"] == "/v1/decisions"
        assert max(first["log_probs"]) == pytest.approx(-0.3567, abs=0.001)
        assert measured.rows[0].tokens_out == 0
    if way == "text":
        assert "response_format" not in body
    if shots and way == "logprobs":
        assert "Answer: A" in body["messages"][0]["content"], "examples are answered by letters"


@pytest.mark.parametrize("constraint", ["structured_outputs", "grammar"])
def test_labels_by_other_servers_constraints(tmp_path: Path, constraint: str) -> None:
    with chat_server(obeys_schema=constraint) as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url))
        measured = jobs.measure(jobs.fit("prompt", params={"label_way": "schema"}))
        assert measured.rows_unusable == 0
        assert constraint in chat.ledger.bodies[-1]


def test_systemone_and_a_model_that_only_decides(tmp_path: Path) -> None:
    with chat_server(typed=("/systemone",)) as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url, dialect="decisions"))
        measured = jobs.measure(jobs.fit("prompt"))
        assert quality(measured) > 0.8
        assert {body["path"] for body in chat.ledger.bodies} == {"/v1/decisions", "/v1/systemone"}
        text = JobRun(tmp_path / "text", remote(url, dialect="decisions"), text=True)
        assert "no free text" in text.failure(text.fit("prompt")).reason


@pytest.mark.parametrize("streams", [False, True])
def test_responses(tmp_path: Path, streams: bool) -> None:
    with chat_server(streams_unasked=streams, reasoning_tokens=5) as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url, dialect="responses", reasoning_tokens=50, reasoning_effort="low"))
        measured = jobs.measure(jobs.fit("prompt", params={"label_way": "schema"}))
        assert quality(measured) > 0.8
        body = chat.ledger.bodies[-1]
        assert (body["path"], body["reasoning"], body["store"]) == ("/v1/responses", {"effort": "low"}, False)
        assert measured.answering.tokens_reasoning == 5 * 36
        assert measured.answering.tokens_out > measured.answering.tokens_reasoning


def test_free_text_is_written_with_its_confidence(server: tuple[str, Chat], tmp_path: Path) -> None:
    url, chat = server
    jobs = JobRun(tmp_path / "run", remote(url), text=True)
    job = jobs.fit("prompt")
    measured = jobs.measure(job)
    assert predictions(jobs, job)[0]["answer"].startswith("I think it is")
    assert measured.rows[0].confidence == pytest.approx(0.8)
    assert chat.ledger.bodies[-1]["max_tokens"] == 8


def test_a_server_that_ignores_what_it_is_asked_is_found_out(tmp_path: Path) -> None:
    """As transformers' server does: 200 for log-probabilities and schemas, and neither in the answer."""
    with chat_server(obeys_schema=None, gives_logprobs=False, typed=()) as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url))
        for way in ("schema", "logprobs", "decisions"):
            failure = jobs.failure(jobs.fit("prompt", trial=1, params={"label_way": way}))
            assert failure.failure_class == "config"
            assert "as a test request has shown (it does: text)" in failure.reason
        family = jobs.workshop.family("remote")
        model = jobs.model
        schema, text = (jobs.fit("prompt", params={"label_way": way}) for way in ("schema", "text"))
        assert "test request" in (family.obstacle(model, schema, {}) or "")
        assert family.obstacle(model, text, {}) is None
        assert not any("no. " in json.dumps(body) for body in chat.ledger.bodies), "no row was sent"
        measured = jobs.measure(jobs.fit("prompt", trial=2))
        assert quality(measured) > 0.8, "auto takes what works"
        notes = family.check(model, jobs.root, None)
        assert any("log-probabilities" in note for note in notes)
        assert any("schema" in note for note in notes)


@pytest.mark.parametrize(
    "refused", [("max_tokens",), ("temperature", "seed"), ("logprobs",), ("max_tokens", "temperature", "logprobs")]
)
def test_fields_that_a_server_refuses_are_left_out(tmp_path: Path, refused: tuple[str, ...]) -> None:
    with chat_server(refuses=refused) as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url))
        assert quality(jobs.measure(jobs.fit("prompt"))) > 0.8
        last = chat.ledger.bodies[-1]
        assert not set(refused) & set(last)
        assert ("max_completion_tokens" in last) == ("max_tokens" in refused)


def test_refusals_and_answers_without_a_label_count_as_wrong(tmp_path: Path) -> None:
    with chat_server(refuses_texts="hammer") as (url, _):
        jobs = JobRun(tmp_path / "run", remote(url))
        job = jobs.fit("prompt")
        measured = jobs.measure(job)
        declined = [p for p in predictions(jobs, job) if p["answer"] == ""]
        assert measured.rows_unusable == len(declined) == 2
        assert all(p["score"] == 0 for p in declined)


def test_costs_equal_the_servers_own_bill(server: tuple[str, Chat], tmp_path: Path) -> None:
    url, chat = server
    jobs = JobRun(tmp_path / "run", remote(url))
    outcome = jobs.run(jobs.fit("prompt", params={"shots": 4, "selector": "nearest"}))
    measured = outcome.result
    assert isinstance(measured, Measurement)
    ledger = chat.ledger
    assert sum(billed_by_job(jobs.root).values()) == pytest.approx(ledger.usd, abs=1e-12)
    assert outcome.usage.usd == pytest.approx(measured.answering.usd + measured.timing.usd)
    assert not outcome.usage.usd_estimated
    assert measured.answering.tokens_cached > 0
    used = measured.answering
    by_hand = (
        used.tokens_in * PRICE["input"] + used.tokens_cached * PRICE["cached"] + used.tokens_out * PRICE["output"]
    ) / 1e6
    assert used.usd == pytest.approx(by_hand, abs=1e-12)
    assert used.device_seconds == {}, "its time is not a device's of ours"


def test_a_kept_answer_is_not_billed_again_but_costs_the_option_the_same(
    server: tuple[str, Chat], tmp_path: Path
) -> None:
    url, chat = server
    jobs = JobRun(tmp_path / "run", remote(url))
    first = jobs.run(jobs.fit("prompt"))
    sent, bill = chat.ledger.requests, chat.ledger.usd
    jobs.workshop.drop()  # another process, as far as what is known goes
    again = jobs.run(jobs.fit("prompt", trial=1))
    assert (chat.ledger.requests, chat.ledger.usd) == (sent, bill), "nothing was sent"
    one, other = first.result, again.result
    assert isinstance(one, Measurement)
    assert isinstance(other, Measurement)
    assert (one.answering, one.rows, one.latency_ms) == (other.answering, other.rows, other.latency_ms)
    assert again.usage.usd == 0
    assert first.usage.usd > 0
    assert other.from_cache == other.answering


def test_a_longer_rung_asks_for_the_new_rows_alone(server: tuple[str, Chat], tmp_path: Path) -> None:
    url, chat = server
    jobs = JobRun(tmp_path / "run", remote(url))
    short = jobs.fit("prompt").fidelity.model_copy(update={"rows": 12})
    jobs.measure(jobs.fit("prompt", fidelity=short))
    before = chat.ledger.requests
    jobs.measure(jobs.fit("prompt", rung=1))
    assert chat.ledger.requests - before == 36 - 12


def test_an_artifact_answers_again_and_test_rows_are_paid_for(server: tuple[str, Chat], tmp_path: Path) -> None:
    url, _ = server
    jobs = JobRun(tmp_path / "run", remote(url))
    job = jobs.fit("prompt")
    jobs.measure(job)
    outcome = jobs.run(jobs.score(job))
    assert isinstance(outcome.result, Measurement)
    assert outcome.usage.usd > 0
    elsewhere = tmp_path / "elsewhere" / "option"
    elsewhere.parent.mkdir()
    jobs.artifact(job).rename(elsewhere)
    from autoadapt.worker.workshop import Workshop

    adapted = load_artifact(elsewhere, Workshop(), DEVICES, lambda: None)
    assert adapted.answer(["a ripe apple no. 1"])[0].text == "fruit"
    adapted.close()


def test_missing_usage_is_estimated_and_never_zero(tmp_path: Path) -> None:
    with chat_server(states_usage=False) as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url))
        outcome = jobs.run(jobs.fit("prompt"))
        assert outcome.usage.usd_estimated
        assert chat.ledger.usd / 3 < outcome.usage.usd < chat.ledger.usd * 3
        assert isinstance(outcome.result, Measurement)
        assert outcome.result.answering.usd > 0
        assert all(row.tokens_in > 0 for row in outcome.result.rows)


def test_a_server_of_ones_own_costs_its_time(tmp_path: Path) -> None:
    """Requests that run side by side share the time in which the server is busy, by the server's own record."""
    with chat_server(seconds=0.05) as (url, chat):
        for name, economics in (("run", {"usd_per_hour": 3.6}), ("device", {})):
            jobs = JobRun(tmp_path / name, remote(url, price=None, concurrency=4, **economics))
            measured = jobs.measure(jobs.fit("prompt"))
            singles = len(measured.latency_ms)
            spans = chat.ledger.spans[-len(measured.rows) - singles : -singles]
            answering = measured.answering
            seconds = answering.usd / 0.001 if economics else answering.total_device_seconds
            assert busy_seconds(spans) <= seconds <= 0.7 * sum(end - start for start, end in spans)
            assert (answering.usd > 0) == answering.usd_estimated == bool(economics)


def test_faults_of_a_fifth_of_all_requests_change_neither_quality_nor_keep_money(tmp_path: Path) -> None:
    """F16: 429, 500, time-outs, garbage and missing usage behind a proxy."""
    with chat_server() as (url, chat):
        clean = JobRun(tmp_path / "clean", remote(url))
        wanted = clean.measure(clean.fit("prompt"))
        with faulty_proxy(url, share=0.2, seed=3, quiet=4) as (spoilt, injected):
            before = chat.ledger.usd
            jobs = JobRun(tmp_path / "run", remote(spoilt, timeout_s=0.6, retries=6))
            outcome = jobs.run(jobs.fit("prompt", params={"shots": 2}))
            jobs.run(jobs.score(jobs.fit("prompt", params={"shots": 2})))
        assert sum(n for fault, n in injected.items() if fault) >= 10
        assert len([f for f in injected if f]) >= 4
        assert isinstance(outcome.result, Measurement)
        assert quality(outcome.result) == quality(wanted), "the same answers, after retries"
        assert 0 < outcome.result.retries < 7 * 36
        booked = sum(billed_by_job(jobs.root).values())
        assert booked >= chat.ledger.usd - before, "what may have been billed is counted"
        assert outcome.usage.usd_estimated


def test_no_more_is_spent_than_the_cap_under_faults(tmp_path: Path) -> None:
    with chat_server() as (url, chat), faulty_proxy(url, share=0.2, seed=5, quiet=4) as (spoilt, _):
        jobs = JobRun(tmp_path / "run", remote(spoilt, timeout_s=0.6))
        cap = 0.0012
        outcome = jobs.run(jobs.fit("prompt", params={"shots": 2}, provider_usd_cap=cap))
        failure = outcome.result
        assert isinstance(failure, Failure)
        assert failure.failure_class == "budget"
        assert "budget.usd leaves providers" in failure.reason
        assert 0 < failure.usage.usd == pytest.approx(outcome.usage.usd)
        assert 0.4 * cap < sum(billed_by_job(jobs.root).values()) <= cap
        assert chat.ledger.usd <= cap


def test_a_job_that_fails_says_what_it_has_spent(tmp_path: Path) -> None:
    with chat_server() as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url, retries=0))
        jobs.measure(jobs.fit("prompt", fidelity=jobs.fit("prompt").fidelity.model_copy(update={"rows": 12})))
        chat.behaviour.answer = (500, "down")
        outcome = jobs.run(jobs.fit("prompt", trial=1))
        assert isinstance(outcome.result, Failure)
        assert outcome.result.failure_class == "provider"
        assert "requests have failed" in outcome.result.reason
        chat.behaviour.answer = (401, '{"error": {"message": "your key sk-secret is wrong"}}')
        before = chat.ledger.statuses[401]
        outcome = jobs.run(jobs.fit("prompt", trial=2))
        assert isinstance(outcome.result, Failure)
        assert "status 401" in outcome.result.reason
        assert chat.ledger.statuses[401] - before <= 4, "no key becomes right by asking again"


def test_the_key_is_sent_and_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_REMOTE_KEY", "sk-very-secret")
    with chat_server(key="sk-very-secret") as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url, key="${TEST_REMOTE_KEY}"))
        jobs.measure(jobs.fit("prompt"))
        assert set(chat.ledger.keys) == {"Bearer sk-very-secret"}
        chat.behaviour.key = "another"
        failure = jobs.failure(jobs.fit("prompt", trial=1, params={"shots": 2}))
        assert "status 401: wrong key Bearer ***" in failure.reason
    for file in (tmp_path / "run").rglob("*"):
        assert not file.is_file() or b"very-secret" not in file.read_bytes(), file


def test_outcomes_hold_what_was_billed(server: tuple[str, Chat], tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", remote(server[0]))
    job = jobs.fit("prompt")
    outcome = jobs.run(job)
    assert Outcome.model_validate_json((jobs.folder(job) / "outcome.json").read_bytes()) == outcome
