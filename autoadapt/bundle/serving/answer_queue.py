"""AnswerQueue: requests wait in one queue, and all that wait form the next batch.

This is how the load test of a search models a server (`economics.batching`): as soon as the model is free, it takes
what has come meanwhile, at most so many at a time. The model answers in a thread of its own, so that requests are read
and refused while it computes.
"""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from autoadapt.bundle.description import BundleDescription
from autoadapt.bundle.loaded import Bundle, Prediction
from autoadapt.bundle.serving.limits import Limits

PACE_WEIGHT = 0.1
"""Of the latest batch in the average time of a row."""


class QueueFullError(Exception):
    """There is no room for further requests.

    Args:
        retry_after_s: seconds after which there probably is.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Reply:
    """An answer, and what has given it."""

    prediction: Prediction
    description: BundleDescription
    version: int | None
    """In a registry; None: the bundle is in none."""


@dataclass
class _Waiting:
    text: str
    answered: "asyncio.Future[Reply]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class AnswerQueue:
    """Answers texts by a bundle; `running` must be entered before the first of them, `answers` is called concurrently.

    Args:
        bundle: what answers; closed at the end.
        limits: texts that may wait, and texts of a batch.
        version: of the bundle in a registry.
        on_batch: called with the number of texts of every batch.
    """

    def __init__(
        self,
        bundle: Bundle,
        limits: Limits,
        version: int | None = None,
        on_batch: Callable[[int], None] = lambda size: None,
    ) -> None:
        self.bundle, self.version = bundle, version
        self._limits, self._on_batch = limits, on_batch
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._row_seconds = 0.0
        self._next: tuple[Bundle, int | None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answers what comes while it is entered, and what still waits when it is left."""
        with ThreadPoolExecutor(1, thread_name_prefix="answers") as thread:
            work = asyncio.create_task(self._work(thread))
            try:
                yield
                while self._waiting:
                    await asyncio.sleep(0.01)
            finally:
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work
                self.bundle.close()

    def replace(self, bundle: Bundle, version: int | None) -> None:
        """Lets another bundle answer from the next batch on; the present one is closed then."""
        self._next = bundle, version
        self._arrived.set()

    async def answers(self, texts: Sequence[str], seconds: float) -> list[Reply]:
        """Answers texts, all or none of them.

        Args:
            texts: of one request.
            seconds: after which the request is given up; what has not been begun by then is not answered.

        Raises:
            QueueFullError: there is no room for so many.
            TimeoutError: it took longer.
            Exception: what answering one of them has raised.
        """
        if len(self._waiting) + len(texts) > self._limits.waiting:
            raise QueueFullError(max(1, math.ceil(self._row_seconds * len(self._waiting))))
        waiting = [_Waiting(text) for text in texts]
        self._waiting.extend(waiting)
        self._arrived.set()
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.gather(*(each.answered for each in waiting))
        finally:
            for each in waiting:
                each.answered.cancel()

    async def _work(self, thread: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self._swap(thread)
            while batch := self._batch():
                begun = time.perf_counter()
                results = await loop.run_in_executor(thread, self._answered, [each.text for each in batch])
                self._note(len(batch), time.perf_counter() - begun)
                for each, result in zip(batch, results, strict=True):
                    if each.answered.done():
                        continue  # nobody waits for it any more
                    if isinstance(result, Exception):
                        each.answered.set_exception(result)
                    else:
                        each.answered.set_result(Reply(result, self.bundle.description, self.version))
                await self._swap(thread)

    async def _swap(self, thread: ThreadPoolExecutor) -> None:
        if self._next is not None:
            before, (self.bundle, self.version), self._next = self.bundle, self._next, None
            await asyncio.get_running_loop().run_in_executor(thread, before.close)

    def _batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self._limits.together:
            each = self._waiting.popleft()
            if not each.answered.done():
                batch.append(each)
        return batch

    def _answered(self, texts: list[str]) -> Sequence[Prediction | Exception]:
        """Answers; where a batch fails, each text by itself, so that one that cannot be answered harms no other."""
        try:
            return self.bundle.predict(texts)
        except Exception as error:  # noqa: BLE001 - handed to those who wait
            return [error] if len(texts) == 1 else [self._answered([text])[0] for text in texts]

    def _note(self, rows: int, seconds: float) -> None:
        each = seconds / rows
        self._row_seconds += PACE_WEIGHT * (each - self._row_seconds) if self._row_seconds else each
        self._on_batch(rows)
