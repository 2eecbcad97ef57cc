"""How many requests are under way at a time: more while all goes well, half as many when the server is overloaded.

Additive increase and multiplicative decrease, as TCP does it (Chiu and Jain 1989): one more after as many successes as
are allowed at a time, half as many after an answer that says "too many requests". A time to wait that a server states
(``Retry-After``) holds for all requests.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FIRST_LIMIT = 4
FIRST_WAIT_S = 0.25
"""Before the second attempt; doubled before each further one."""
LONGEST_WAIT_S = 30.0
"""A server that asks for a longer wait is asked again after so many seconds."""


class Pace:
    """The requests of one client.

    Args:
        most: requests at a time.
        tick: called while it waits.
        seed: of the jitter of waits.
    """

    def __init__(self, most: int, tick: Callable[[], None], seed: int = 0) -> None:
        self._most, self._tick, self._random = most, tick, random.Random(seed)
        self.limit = min(FIRST_LIMIT, most)
        self._active, self._at_server, self._successes = 0, 0, 0
        self._free = asyncio.Condition()
        self._resume_at = self._halved_at = 0.0
        self._clock = self._clock_at = 0.0

    async def begin(self) -> None:
        """Waits for a place."""
        async with self._free:
            while True:
                if (left := self._resume_at - time.monotonic()) > 0:
                    self._tick()
                    await asyncio.sleep(min(left, 0.5))
                elif self._active >= int(self.limit):
                    await self._free.wait()
                else:
                    break
            self._active += 1

    @contextmanager
    def at_server(self) -> Iterator[Callable[[], float]]:
        """While the server has a request; yields a function that says, after the end, which seconds were its share.

        A request keeps its place until `end`, but takes none of the server's time once it is answered, so that the
        shares of all requests add up to the seconds in which the server had at least one.
        """
        self._advance()
        self._at_server += 1
        begun = ended = self._clock
        try:
            yield lambda: ended - begun
        finally:
            self._advance()
            self._at_server -= 1
            ended = self._clock

    async def end(self) -> None:
        """Gives a place back; what the request has cost is settled by then, so that others can go on with the rest."""
        self._active -= 1
        self._tick()
        async with self._free:
            self._free.notify_all()

    async def another_ends(self) -> bool:
        """Waits until a request under way has ended; False: there is none."""
        async with self._free:
            if not self._active:
                return False
            await self._free.wait()
            return True

    def _advance(self) -> None:
        """Moves a clock on that runs at the pace of one of the requests that the server has."""
        now = time.perf_counter()
        if self._at_server:
            self._clock += (now - self._clock_at) / self._at_server
        self._clock_at = now

    def succeeded(self) -> None:
        """A request was answered."""
        self._successes += 1
        if self._successes >= self.limit:
            self._successes, self.limit = 0, min(self._most, self.limit + 1)

    def overloaded(self, sent: float, wait: float | None) -> None:
        """The server is overloaded.

        Args:
            sent: when the request was sent, by ``time.monotonic``; one sent before the last halving says nothing new.
            wait: seconds that the server asks to wait; None: it states none.
        """
        if sent >= self._halved_at:
            self._halved_at = time.monotonic()
            self._successes, self.limit = 0, max(1, self.limit // 2)
        if wait is not None:
            self._resume_at = max(self._resume_at, time.monotonic() + min(wait, LONGEST_WAIT_S))

    async def back_off(self, attempt: int) -> None:
        """Waits before the next attempt: longer each time, by a random share (full jitter would retry at once)."""
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt) * self._random.uniform(0.5, 1.0)
        end = time.monotonic() + wait
        while (left := end - time.monotonic()) > 0:
            self._tick()
            await asyncio.sleep(min(left, 0.5))
