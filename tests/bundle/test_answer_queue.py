"""AnswerQueue: what waits forms a batch, and what one request does harms no other."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from autoadapt.bundle.loaded import Prediction
from autoadapt.bundle.serving.answer_queue import AnswerQueue, QueueFullError, Reply
from autoadapt.bundle.serving.limits import Limits

LIMITS = Limits(waiting=100, together=4)


class Slow:
    """Stands in for a bundle: answers when it is let, and remembers its batches."""

    def __init__(self, name: str = "first") -> None:
        self.name, self.batches, self.closed = name, list[list[str]](), False
        self.description = None
        self.free = threading.Semaphore(0)

    def predict(self, texts: list[str]) -> list[Prediction]:
        self.free.acquire()
        self.batches.append(list(texts))
        if "bad" in texts:
            raise ValueError("bad")
        return [Prediction(f"{self.name}: {text}", None) for text in texts]

    def close(self) -> None:
        self.closed = True


def run(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(body, 20))


@contextlib.asynccontextmanager
async def busy(queue: AnswerQueue) -> AsyncIterator["asyncio.Task[list[Reply]]"]:
    """A queue that runs and whose bundle is answering a first text, "0"."""
    async with queue.running():
        first = asyncio.create_task(queue.answers(["0"], 10))
        await settle()
        yield first


async def settle() -> None:
    """Lets tasks begin, and the thread take what waits."""
    await asyncio.sleep(0.1)


def test_all_that_waits_is_answered_as_one_batch_of_at_most_so_many() -> None:
    async def body() -> None:
        slow = Slow()
        queue = AnswerQueue(slow, LIMITS)  # type: ignore[arg-type]
        async with busy(queue) as first:
            later = [asyncio.create_task(queue.answers([str(i)], 10)) for i in range(1, 7)]
            await settle()
            assert len(queue) == 6
            slow.free.release(3)
            answers = await asyncio.gather(first, *later)
        assert [[reply.prediction.answer for reply in one] for one in answers] == [[f"first: {i}"] for i in range(7)]
        assert slow.batches == [["0"], ["1", "2", "3", "4"], ["5", "6"]]
        assert slow.closed

    run(body())


def test_what_has_no_room_is_refused_as_a_whole() -> None:
    async def body() -> None:
        slow = Slow()
        queue = AnswerQueue(slow, Limits(waiting=3, together=4))  # type: ignore[arg-type]
        async with busy(queue) as under_way:
            waits = asyncio.create_task(queue.answers(["1", "2"], 10))
            await settle()
            with pytest.raises(QueueFullError) as refused:
                await queue.answers(["3", "4"], 10)
            assert refused.value.retry_after_s >= 1
            fits = asyncio.create_task(queue.answers(["5"], 10))
            await settle()
            slow.free.release(9)
            await asyncio.gather(under_way, waits, fits)
        assert slow.batches == [["0"], ["1", "2", "5"]]

    run(body())


def test_a_text_that_cannot_be_answered_harms_no_other() -> None:
    async def body() -> None:
        slow = Slow()
        queue = AnswerQueue(slow, LIMITS)  # type: ignore[arg-type]
        async with busy(queue) as first:
            good = asyncio.create_task(queue.answers(["good"], 10))
            bad = asyncio.create_task(queue.answers(["bad"], 10))
            await settle()
            slow.free.release(9)
            await first
            assert (await good)[0].prediction.answer == "first: good"
            with pytest.raises(ValueError, match="bad"):
                await bad

    run(body())


def test_what_is_given_up_is_not_answered_later() -> None:
    async def body() -> None:
        slow = Slow()
        queue = AnswerQueue(slow, LIMITS)  # type: ignore[arg-type]
        async with busy(queue) as first:
            with pytest.raises(TimeoutError):
                await queue.answers(["given up"], 0.05)
            slow.free.release(9)
            await first
            assert (await queue.answers(["next"], 10))[0].prediction.answer == "first: next"
        assert slow.batches == [["0"], ["next"]]

    run(body())


def test_another_bundle_answers_from_the_next_batch_on_and_no_request_is_lost() -> None:
    async def body() -> None:
        before, after = Slow("before"), Slow("after")
        queue = AnswerQueue(before, LIMITS, 1)  # type: ignore[arg-type]
        async with busy(queue) as under_way:
            waits = asyncio.create_task(queue.answers(["1"], 10))
            queue.replace(after, 2)  # type: ignore[arg-type]
            await settle()
            assert not before.closed, "it is still answering"
            before.free.release(9)
            after.free.release(9)
            replies = [(await each)[0] for each in (under_way, waits)]
            assert [(r.prediction.answer, r.version) for r in replies] == [("before: 0", 1), ("after: 1", 2)]
            assert before.closed
            assert not after.closed
        assert after.closed

    run(body())


def test_what_waits_at_the_end_is_answered() -> None:
    async def body() -> None:
        slow = Slow()
        queue = AnswerQueue(slow, Limits(together=1))  # type: ignore[arg-type]
        async with queue.running():
            waiting = [asyncio.create_task(queue.answers([str(i)], 10)) for i in range(3)]
            await settle()
            slow.free.release(9)
        assert [(await each)[0].prediction.answer for each in waiting] == ["first: 0", "first: 1", "first: 2"]

    run(body())
