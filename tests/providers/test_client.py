"""The client of servers: how often it asks again, how many requests are under way, and what it spends."""

import asyncio
import itertools
import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest
from remote_server import PRICE, chat_server, serving

from autoadapt.domain.remote import RemoteModel
from autoadapt.errors import UserError
from autoadapt.providers.answer_store import AnswerStore, KeptAnswer, OutOfMoneyError, adopt, billed_by_job
from autoadapt.providers.client import Access, Client, RequestFailedError
from autoadapt.providers.dialects import Chat, Responses
from autoadapt.providers.pace import Pace
from autoadapt.providers.replies import Question, Reply, Tokens
from autoadapt.providers.tariff import Tariff

GOOD = '{"choices": [{"message": {"content": "yes"}}], "usage": {"prompt_tokens": 10, "completion_tokens": 2}}'


def asked(
    url: str, count: int = 1, store: AnswerStore | None = None, cap: float | None = None, **settings: Any
) -> tuple[list[Any], Client]:
    """Answers, or the errors in their place, to questions asked at once; and the client that asked them."""
    model = RemoteModel.model_validate({"model": "m", "price": PRICE, **settings})
    kept = store or AnswerStore(None)

    async def ask() -> tuple[list[Any], Client]:
        client = Client(Access(model, url, "sk-secret", "0000/rung0", cap), kept)
        questions = [Question(prompt=f"question {i}", max_tokens=8) for i in range(count)]
        answers = await asyncio.gather(*(client.ask(Chat(model), q) for q in questions), return_exceptions=True)
        await client.close()
        return answers, client

    try:
        return asyncio.run(ask())
    finally:
        if store is None:
            kept.close()


def replies(*answers: tuple[int, dict[str, str], str]) -> tuple[Any, list[float]]:
    """A server that gives these answers one after the other, the last one again and again; and when it was asked."""
    times: list[float] = []

    def respond(path: str, raw: bytes, key: str | None) -> tuple[int, dict[str, str], str]:
        times.append(time.monotonic())
        return answers[min(len(times), len(answers)) - 1]

    return respond, times


def test_a_server_that_asks_to_wait_is_given_the_time() -> None:
    respond, times = replies((429, {"Retry-After": "0.4"}, "{}"), (200, {}, GOOD))
    with serving(respond) as server:
        answers, _ = asked(server.url)
    assert answers[0].reply.text == "yes"
    assert answers[0].retries == 1
    assert 0.4 <= times[1] - times[0] < 1.5
    assert answers[0].seconds >= 0.4, "the client saw the wait too"


def test_retries_are_capped_and_each_waits_longer() -> None:
    respond, times = replies((500, {}, "oops"))
    with serving(respond) as server:
        answers, client = asked(server.url, retries=3)
    assert isinstance(answers[0], RequestFailedError)
    assert len(times) == answers[0].attempts == 4
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert waits[0] >= 0.12
    assert waits[2] >= 0.5
    assert client.spent.usd == 0, "no answer, no bill"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, '{"error": {"message": "bad key sk-secret"}}', "bad key \\*\\*\\*"),
        (404, '{"detail": "no such model"}', "no such model"),
        (429, '{"error": {"code": "insufficient_quota", "message": "pay"}}', "pay"),
        (307, "", "status 307"),
    ],
)
def test_what_no_repetition_can_change_is_not_repeated(status: int, body: str, said: str) -> None:
    respond, times = replies((status, {"Location": "http://127.0.0.1:9/"} if status == 307 else {}, body))
    with serving(respond) as server:
        answers, _ = asked(server.url)
    with pytest.raises(UserError, match=said) as raised:
        raise answers[0]
    assert raised.value.code == 7
    assert len(times) == 1


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, DEEP),
        (500, {"Retry-After": "soon, or never"}, "{}"),
        (200, {}, DEEP),
        (200, {"Content-Type": "text/event-stream"}, 'data: "response.completed" {\n\n'),
        (200, {"Content-Type": "text/event-stream"}, 'data: ["response.completed"]\n\n'),
    ],
)
def test_whatever_a_server_answers_is_a_failed_request(answer: tuple[int, dict[str, str], str]) -> None:
    respond, _ = replies(answer)
    with serving(respond) as server:
        answers, _ = asked(server.url, retries=0)
    assert isinstance(answers[0], RequestFailedError)


def test_requests_under_way_are_halved_when_a_server_is_overloaded() -> None:
    with chat_server(busy_above=3, seconds=0.01, retry_after="0.01") as (url, chat):
        answers, client = asked(url, 60, concurrency=32)
        assert all(isinstance(a, KeptAnswer) for a in answers), "all are answered in the end"
        assert chat.ledger.statuses[429] < 60
        assert client.pace.limit < 16
    with chat_server(seconds=0.01) as (url, chat):
        _, client = asked(url, 80, concurrency=12)
        assert client.pace.limit == 12, "one more after every round that went well"
        assert chat.ledger.most_at_once <= 12


def test_money_is_reserved_before_a_request_is_sent() -> None:
    with chat_server(seconds=0.01) as (url, chat):
        most = Tariff(RemoteModel(model="m", price=PRICE)).most(Question(prompt="question 0", max_tokens=8))
        store = AnswerStore(None)
        answers, _ = asked(url, 30, store, cap=most * 3, concurrency=16)
        store.close()
        refused = [a for a in answers if isinstance(a, OutOfMoneyError)]
        assert refused
        assert 0 < chat.ledger.usd <= most * 3
        assert chat.ledger.most_at_once <= 3, "no more than the money for all of them"


def test_a_lost_answer_costs_what_its_repetition_cost() -> None:
    respond, _ = replies((200, {}, GOOD[:30]), (200, {}, GOOD))
    with serving(respond) as server:
        store = AnswerStore(None)
        answers, client = asked(server.url, 1, store)
        store.close()
    assert client.spent.usd == pytest.approx(2 * (10 * 1.0 + 2 * 4.0) / 1e6)
    assert answers[0].usd_estimated


def test_a_tier_costs_half_unless_it_was_not_served() -> None:
    tokens, question = Tokens(fresh=100, cached=100, out=10), Question(prompt="x", max_tokens=1)
    price = {"input": 1, "cached": 0.5, "output": 10}

    def usd(tier: str, served: str) -> float:
        tariff = Tariff(RemoteModel.model_validate({"model": "m", "price": price, "tier": tier}))
        return tariff.cost(question, Reply(text="", tokens=tokens, tier=served), 0.0)[0]

    full = (100 * 1 + 100 * 0.5 + 10 * 10) / 1e6
    assert usd("standard", "default") == pytest.approx(full)
    assert usd("batch", "") == usd("flex", "flex") == pytest.approx(full / 2)
    assert usd("flex", "default") == pytest.approx(full)
    body = Responses(RemoteModel(model="m", tier="flex")).body(question)
    assert body["service_tier"] == "flex"


def _spend(folder: Path, cap: float, together: Any) -> None:
    store = AnswerStore(folder)
    together.wait()
    for _ in range(200):
        try:
            number = store.reserve(f"job{multiprocessing.current_process().pid}", 0.01, cap)
        except OutOfMoneyError:
            break
        time.sleep(0.001)
        store.settle(number, 0.008, False)
    store.close()


def test_several_processes_keep_one_cap(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    together = context.Barrier(4)
    workers = [context.Process(target=_spend, args=(tmp_path, 1.0, together)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    spent = sum(billed_by_job(tmp_path).values())
    assert 0.98 <= spent <= 1.0
    assert len(billed_by_job(tmp_path)) >= 2


def test_a_damaged_store_is_set_aside(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path)
    kept = KeptAnswer(reply=Reply(text="a"), usd=1.0, usd_estimated=False, seconds=1.0)
    store.keep("key", kept)
    assert store.answer("key") == kept
    store.close()
    file = tmp_path / "answers.db"
    file.write_bytes(b"not a database, " * 400)
    store = AnswerStore(tmp_path)
    assert store.answer("key") is None
    store.close()
    assert (tmp_path / "answers.db.corrupt").exists()


def test_what_a_plan_has_paid_for_passes_to_its_search(tmp_path: Path) -> None:
    plan, run = tmp_path / "plan", tmp_path / "run"
    plan.mkdir()
    run.mkdir()
    store = AnswerStore(plan)
    kept = KeptAnswer(reply=Reply(text="a"), usd=1.0, usd_estimated=False, seconds=1.0)
    store.keep("key", kept)
    store.settle(store.reserve("0000/rung0", 2.0, None), 1.0, False)
    store.close()
    adopt(plan, run, "plan/")
    assert not (plan / "answers.db").exists()
    assert billed_by_job(run) == {"plan/0000/rung0": 1.0}
    store = AnswerStore(run)
    assert store.answer("key") == kept
    store.close()


def test_shares_of_requests_add_up_to_the_busy_time_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is answered keeps its place while its cost is settled, but takes no more of the server's time."""
    now = 0.0
    monkeypatch.setattr("autoadapt.providers.pace.time.perf_counter", lambda: now)
    pace = Pace(4, lambda: None)

    async def overlapping() -> float:
        nonlocal now
        await pace.begin()
        await pace.begin()
        with pace.at_server() as longer:
            with pace.at_server() as shorter:
                now = 1.0
            now = 3.0  # while the shorter one is settled
            await pace.end()
        await pace.end()
        return shorter() + longer()

    assert asyncio.run(overlapping()) == 3.0
