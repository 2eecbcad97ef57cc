"""How a model behind a server is told to answer: what reaches the request, what it costs, what a server cannot do."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from job_runs import JobRun, quality
from remote_server import Chat, chat_server
from test_remote import predictions, remote

from autoadapt.domain.outcome import Measurement
from autoadapt.models.remote import Remote
from autoadapt.models.remote.labels import calibrated, prior, read_label
from autoadapt.providers.answer_store import billed_by_job
from autoadapt.providers.replies import Reply, TokenScore

STEPS = {"reasoning": "steps", "reasoning_tokens": 40, "label_way": "text"}


def asked(chat: Chat) -> list[dict[str, Any]]:
    """Requests with rows of the data."""
    return [body for body in chat.ledger.bodies if "no. " in json.dumps(body)]


def test_reasoning_is_asked_for_and_the_last_answer_counts(tmp_path: Path) -> None:
    with chat_server() as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url))
        job = jobs.fit("prompt", params=STEPS)
        measured = jobs.measure(job)
        assert quality(measured) == pytest.approx(31 / 36, abs=1 / 36)
        assert measured.rows_unusable == 0, "other labels in the reasoning do not count"
        assert min(row.tokens_out for row in measured.rows) > 10
        body = asked(chat)[-1]
        assert body["messages"][0]["content"].endswith("begins with 'Answer:'.")
        assert body["max_tokens"] > 40
        assert "response_format" not in body
        text = JobRun(tmp_path / "text", remote(url), text=True)
        job = text.fit("prompt", params={"reasoning": "steps", "reasoning_tokens": 40})
        text.measure(job)
        assert predictions(text, job)[0]["answer"] in ("animal", "fruit", "tool")


def test_samples_are_requests_of_their_own_that_vote(tmp_path: Path) -> None:
    """Two of five are wrong everywhere, so that the others win."""
    params = {**STEPS, "samples": 5, "temperature": 0.7, "top_p": 0.9}
    with chat_server(strays=(1, 3)) as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url))
        outcome = jobs.run(jobs.fit("prompt", params=params))
        measured = outcome.result
        assert isinstance(measured, Measurement)
        assert quality(measured) == pytest.approx(31 / 36, abs=1 / 36)
        assert measured.rows[0].confidence == pytest.approx(0.6)
        rows = [body for body in asked(chat) if "no. 72" in json.dumps(body)]
        assert sorted({body["seed"] for body in rows}) == [0, 1, 2, 3, 4]
        assert {(body["temperature"], body["top_p"]) for body in rows} == {(0.7, 0.9)}
        assert sum(billed_by_job(jobs.root).values()) == pytest.approx(chat.ledger.usd, abs=1e-12)
        assert measured.answering.tokens_out == 5 * 17 * 36
        sent = chat.ledger.requests
        again = jobs.measure(jobs.fit("prompt", trial=1, params=params))
        assert chat.ledger.requests == sent, "every sample is kept"
        assert again.rows == measured.rows


def test_samples_without_a_seed_are_kept_apart(tmp_path: Path) -> None:
    with chat_server(refuses=("seed",)) as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url))
        jobs.measure(jobs.fit("prompt", params={**STEPS, "samples": 3, "temperature": 0.7}))
        single = [body for body in asked(chat) if "no. 100" in json.dumps(body)]
        assert len(single) == 3


@pytest.mark.parametrize(
    ("refused", "params", "said"),
    [
        ("temperature", {**STEPS, "samples": 3, "temperature": 0.7}, "takes no temperature"),
        ("top_p", {**STEPS, "samples": 3, "temperature": 1.0, "top_p": 0.9}, "takes no top_p"),
        ("stop", {"stop": "line"}, "takes no stop"),
        ("logprobs", {"label_way": "logprobs"}, "label_way: logprobs"),
        ("logprobs", {"label_score": "calibrated", "label_way": "text"}, "needs probabilities"),
        ("x", {"label_way": "logprobs", "logit_bias": 10.0}, "does not tell the tokens"),
    ],
)
def test_what_a_server_refuses_is_not_searched(tmp_path: Path, refused: str, params: dict[str, Any], said: str) -> None:
    with chat_server(refuses=(refused,)) as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url), text="stop" in params)
        family = Remote()
        family.check(jobs.model, jobs.root, None)
        assert said in (family.obstacle(jobs.model, jobs.fit("prompt", params=params), {}) or "")
        assert said in jobs.failure(jobs.fit("prompt", params=params)).reason
        assert asked(chat) == []
        left = {"label_way": "text", "temperature": 1.0, "samples": 2}
        assert family.obstacle(jobs.model, jobs.fit("prompt", params=left), {}) is None, "servers draw at 1 untold"
        family.drop()


def test_stops_and_longest_answers_reach_the_server(tmp_path: Path) -> None:
    with chat_server() as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url), text=True)
        job = jobs.fit("prompt", params={"stop": " is "}, max_new_tokens=5)
        jobs.measure(job)
        assert (asked(chat)[-1]["stop"], asked(chat)[-1]["max_tokens"]) == ([" is "], 5)
        assert predictions(jobs, job)[0]["answer"] == "I think it"


def test_efforts_are_tried_and_their_tokens_are_billed(tmp_path: Path) -> None:
    behaviour = {"reasoning_tokens": 20, "draws_without_effort_alone": True, "refused_efforts": ("minimal",)}
    efforts = {"reasoning_efforts": ["none", "minimal", "low"], "reasoning_tokens": 30}
    with chat_server(**behaviour) as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url, **efforts))
        family = Remote()
        assert family.capabilities(jobs.model).reasoning_efforts == ["none", "minimal", "low"]
        notes = family.check(jobs.model, jobs.root, None)
        assert any("reasoning_effort minimal is not tried" in note for note in notes)

        def obstacle(**params: Any) -> str | None:
            return family.obstacle(jobs.model, jobs.fit("prompt", params=params), {})

        assert obstacle(reasoning_effort="minimal", label_way="text") is not None
        assert obstacle(reasoning_effort="none", label_way="logprobs") is None
        assert "logprobs" in (obstacle(reasoning_effort="low", label_way="logprobs") or "")
        assert obstacle(reasoning_effort="low", label_way="text") is None
        family.drop()
        low = jobs.measure(jobs.fit("prompt", params={"reasoning_effort": "low", "label_way": "text"}))
        none = jobs.measure(jobs.fit("prompt", trial=1, params={"reasoning_effort": "none", "label_way": "text"}))
        assert {body["reasoning_effort"] for body in asked(chat)} == {"low", "none"}
        assert (low.answering.tokens_reasoning, none.answering.tokens_reasoning) == (20 * 36, 0)
        assert low.answering.usd > none.answering.usd
        assert jobs.measure(jobs.score(jobs.fit("prompt", params={"reasoning_effort": "low"}))).answering.usd > 0
        assert asked(chat)[-1]["reasoning_effort"] == "low", "an artifact keeps its effort"


def test_biased_letters(tmp_path: Path) -> None:
    with chat_server(tells_tokens=True) as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url))
        jobs.measure(jobs.fit("prompt", params={"label_way": "logprobs", "logit_bias": 10.0}))
        assert asked(chat)[-1]["logit_bias"] == {"65": 10.0, "66": 10.0, "67": 10.0}


def test_labels_are_calibrated_by_an_input_without_content(tmp_path: Path) -> None:
    """The server gives the letter that it answers 0.8 and the others 0.1; without content it answers C."""
    with chat_server(likes="C") as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url))
        job = jobs.fit("prompt", params={"label_way": "logprobs", "label_score": "calibrated"})
        measured = jobs.measure(job)
        blank = [body for body in chat.ledger.bodies if "N/A" in json.dumps(body)]
        assert len(blank) == 1, "asked once"
        assert sum(billed_by_job(jobs.root).values()) == pytest.approx(chat.ledger.usd, abs=1e-12)
        for line in predictions(jobs, job):
            letter = "ABC"[["animal", "fruit", "tool"].index(line["answer"])]
            raw = {one: 0.8 if one == letter else 0.1 for one in "ABC"}
            shares = {one: p / (0.8 if one == "C" else 0.1) for one, p in raw.items()}
            if len(set(line["log_probs"])) == 1:  # it was answered C, which has no more than without any content
                shares = dict.fromkeys("ABC", 1.0)
            expected = [math.log(share / sum(shares.values())) for share in shares.values()]
            assert line["log_probs"] == pytest.approx(expected, abs=1e-3)
        assert all(row.confidence is not None for row in measured.rows)


def test_calibration_against_its_definition() -> None:
    labels = ["a", "b", "c"]

    def reply(**p: float) -> Reply:
        first = max(p, key=p.__getitem__)
        others = {letter: math.log(share) for letter, share in p.items()}
        return Reply(text=first, scores=[TokenScore(token=first, logprob=math.log(p[first]), others=others)])

    bias = prior("logprobs", reply(A=0.7, B=0.2), labels)
    assert bias is not None
    # c is not among the alternatives: it may be as probable as the least of them
    assert [math.exp(one) for one in bias] == pytest.approx([0.7 / 0.9, 0.2 / 0.9, 0.2], abs=1e-6)
    found = calibrated(read_label("logprobs", reply(A=0.5, B=0.3, C=0.2), labels), bias, labels)
    divided = [0.5 / (0.7 / 0.9), 0.3 / (0.2 / 0.9), 0.2 / 0.2]
    assert [math.exp(one) for one in found.log_probs] == pytest.approx([one / sum(divided) for one in divided])
    assert found.text == "b"
    rare = prior("decisions", Reply(text="a", probabilities={"a": 1.0, "b": 0.0, "c": 0.0}), labels)
    assert rare is not None
    assert math.exp(rare[1]) == pytest.approx(0.01 / 3), "what is never answered gains no more than this"
    assert prior("logprobs", Reply(text="no"), labels) is None
