"""One streamed request to a server that speaks OpenAI's interface (vLLM, SGLang, transformers serve, providers).

Answers come as server-sent events: lines ``data: {...}`` and at the end ``data: [DONE]``.
"""

import json
import time
from dataclasses import dataclass
from typing import Any, Literal

import httpx2

Interface = Literal["completions", "chat"]
PATHS = {"completions": "/completions", "chat": "/chat/completions"}


@dataclass(frozen=True)
class Streamed:
    """What came back; times in seconds of ``time.perf_counter``."""

    sent: float
    first: float | None
    """When the first text was there; None: no text came."""
    done: float
    text: str
    tokens_out: int
    """As the server counts them, or the number of pieces in which the text came."""
    failure: str | None = None


class Server:
    """A server.

    Args:
        url: with its version path, such as ``http://127.0.0.1:8000/v1``.
        model: as the server calls it.
        interface: plain completions, or chat.
        max_tokens: longest answer.
        key: sent as a bearer token; kept in memory alone.
        timeout: seconds until a request counts as failed.
    """

    def __init__(
        self,
        url: str,
        model: str,
        interface: Interface = "completions",
        max_tokens: int = 64,
        key: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        self.url, self.model, self.interface, self.max_tokens = url.rstrip("/"), model, interface, max_tokens
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = timeout

    def client(self) -> httpx2.AsyncClient:
        """A client that opens as many connections as are asked for: a pool's limit would queue requests unseen."""
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        return httpx2.AsyncClient(headers=self._headers, timeout=self._timeout, limits=limits)

    async def ask(self, client: httpx2.AsyncClient, prompt: str) -> Streamed:
        """Sends one prompt and reads its answer; never raises for what the server or the network does."""
        body: dict[str, Any] = {"model": self.model, "max_tokens": self.max_tokens, "stream": True, "temperature": 0}
        body["stream_options"] = {"include_usage": True}
        if self.interface == "chat":
            body["messages"] = [{"role": "user", "content": prompt}]
        else:
            body["prompt"] = prompt
        read = _Reader()
        sent = time.perf_counter()
        try:
            async with client.stream("POST", self.url + PATHS[self.interface], json=body) as answer:
                if answer.status_code != 200:
                    text = (await answer.aread()).decode(errors="replace")
                    read.failure = f"status {answer.status_code}: {' '.join(text.split())[:200]}"
                else:
                    async for line in answer.aiter_lines():
                        read.line(line)
        except httpx2.HTTPError as error:
            read.failure = f"{type(error).__name__}: {error}"
        return read.result(sent)


class _Reader:
    """Reads a stream of events."""

    def __init__(self) -> None:
        self.failure: str | None = None
        self._first: float | None = None
        self._parts: list[str] = []
        self._usage: int | None = None

    def line(self, line: str) -> None:
        """Takes one line of the stream."""
        if not line.startswith("data:") or line[5:].strip() == "[DONE]":
            return
        try:
            event = json.loads(line[5:])
        except (ValueError, RecursionError):
            self.failure = f"not JSON: {line[:100]}"
            return
        if not isinstance(event, dict):
            return
        if event.get("error"):
            self.failure = str(event["error"])[:200]
        usage = event.get("usage")
        if isinstance(usage, dict) and isinstance(usage.get("completion_tokens"), int):
            self._usage = usage["completion_tokens"]
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            text = _text_of(choice)
            if text:
                self._first = self._first or time.perf_counter()
                self._parts.append(str(text))

    def result(self, sent: float) -> Streamed:
        """What the stream came to."""
        if self.failure is None and not self._parts:
            self.failure = "the answer is empty"
        tokens = self._usage if self._usage is not None else len(self._parts)
        return Streamed(sent, self._first, time.perf_counter(), "".join(self._parts), tokens, self.failure)


def _text_of(choice: Any) -> Any:
    """The text of one choice of an event, of plain completions or of chat; None: it has none."""
    if not isinstance(choice, dict):
        return None
    delta = choice.get("delta")
    return choice.get("text") or (delta.get("content") if isinstance(delta, dict) else None)
