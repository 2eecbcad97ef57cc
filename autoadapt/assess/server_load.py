"""A running server under load, measured by URL: open loop, Poisson arrivals, real time."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import Field

from autoadapt.domain.load import Load, LoadRun
from autoadapt.domain.strict import StrictModel
from autoadapt.economics.rates import arrivals, requests_for, sweep
from autoadapt.errors import Exit, UserError
from autoadapt.providers.openai import Server, Streamed

WARM_UP_REQUESTS = 3
FIELDS = ("prompt", "input", "text", "question")


class LoadSettings(StrictModel):
    """How a server is measured."""

    rate: float = Field(default=1.0, gt=0)
    """Requests per second to begin with."""
    requests: int = Field(default=100, ge=1)
    """Requests at each rate, at least."""
    latency_p95_ms: float | None = Field(default=None, gt=0)
    """Latency target, which 99 % of requests should meet."""
    search: bool = True
    """Whether to double the rate until the server cannot keep it up, and to bisect then."""
    seconds: float = Field(default=300.0, gt=0)
    """After so many seconds no further rate is tried."""
    hardware: str = "not stated"
    """What the server runs on, as the user names it."""
    seed: int = 0
    """Of the arrivals."""


def measure_server(
    server: Server,
    prompts: Sequence[str],
    settings: LoadSettings,
    on_run: Callable[[LoadRun], None] = lambda run: None,
) -> Load:
    """Measures a server at a rate and, with `search`, up to the greatest rate that it can keep up.

    Args:
        server: where requests go.
        prompts: texts asked in turn, used again when they run out.
        settings: how.
        on_run: called with the figures of every rate.

    Raises:
        UserError: the server does not answer a warm-up request; exit 7.
    """
    deadline = time.monotonic() + settings.seconds
    target = settings.latency_p95_ms

    def measure(rate: float) -> LoadRun:
        times = arrivals(rate, requests_for(rate, settings.requests, target), settings.seed)
        run, _ = asyncio.run(send(server, prompts, times, rate))
        on_run(run)
        return run

    _, warm = asyncio.run(send(server, prompts, [0.0] * WARM_UP_REQUESTS, 1.0))
    failures = Counter(w.failure for w in warm if w.failure)
    if sum(failures.values()) == len(warm):
        raise UserError(f"{server.url}: no answer ({failures.most_common(1)[0][0]})", Exit.PROVIDER)
    if settings.search:
        runs = sweep(measure, settings.rate, target, lambda: time.monotonic() < deadline)
    else:
        runs = [measure(settings.rate)]
    return Load(
        runs=runs,
        prefix_cache="unknown",
        engine=server.url,
        clock="real",
        hardware=settings.hardware,
        warm_up=WARM_UP_REQUESTS,
    )


async def send(
    server: Server, prompts: Sequence[str], times: Sequence[float], rate: float
) -> tuple[LoadRun, list[Streamed]]:
    """Sends requests at given times, whether or not earlier ones were answered.

    Args:
        server: where they go.
        prompts: texts asked in turn.
        times: seconds from now, rising.
        rate: for the record.
    """
    async with server.client() as client:
        begun = time.perf_counter()

        async def one(index: int) -> tuple[float, Streamed]:
            due = begun + times[index]
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            return due, await server.ask(client, prompts[index % len(prompts)])

        answers = await asyncio.gather(*(one(i) for i in range(len(times))))
        ended = time.perf_counter()
    good = [(due, a) for due, a in answers if a.failure is None and a.first is not None]
    # a request that this process sent late has waited too: its time counts from when it was due
    run = LoadRun(
        rate=rate,
        sent_seconds=times[-1],
        seconds=ended - begun,
        ttft_ms=[round(((a.first or a.done) - due) * 1000, 3) for due, a in good],
        e2el_ms=[round((a.done - due) * 1000, 3) for due, a in good],
        tokens_out=[a.tokens_out for _, a in good],
        failed=len(answers) - len(good),
    )
    return run, [a for _, a in answers]


def read_prompts(path: Path) -> list[str]:
    """Prompts of a file: JSON lines with a prompt, input, text or question, or else one prompt a line.

    Raises:
        UserError: it cannot be read or holds none.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: not a regular file; name a file of prompts", Exit.DATA)
    try:
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})", Exit.DATA) from error
    prompts = []
    for number, line in enumerate(lines, 1):
        if path.suffix != ".jsonl":
            prompts.append(line)
            continue
        try:
            row = json.loads(line)
            prompts.append(next(str(row[f]) for f in FIELDS if f in row))
        except (ValueError, RecursionError, TypeError, StopIteration):
            raise UserError(
                f"{path}, line {number}: not a JSON object with one of {', '.join(FIELDS)}", Exit.DATA
            ) from None
    if not prompts:
        raise UserError(f"{path}: holds no prompt", Exit.DATA)
    return prompts
