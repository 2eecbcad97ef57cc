"""The HTTP server of a bundle: ``/predict``, OpenAI's chat interface, health, metrics and a page to try it."""

import asyncio
import contextlib
import hmac
import json
import logging
import secrets
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from autoadapt.bundle.answering import rounded
from autoadapt.bundle.loaded import Bundle, Input, Prediction
from autoadapt.bundle.serving.answer_queue import AnswerQueue, QueueFullError, Reply
from autoadapt.bundle.serving.asked import Chat, RefusedError, read_chat, read_inputs, read_json
from autoadapt.bundle.serving.limits import LOOPBACK, Limits, in_url
from autoadapt.bundle.serving.measures import CONTENT_TYPE, Measures
from autoadapt.bundle.serving.page import page, page_headers
from autoadapt.errors import Exit, UserError

PLAIN = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
"""Headers of every response."""
log = logging.getLogger(__name__)


class BundleServer:
    """Answers HTTP requests by a bundle.

    Args:
        bundle: what answers; closed when the server ends.
        version: of it in a registry; None: it is in none.
        limits: of requests.
        token: that requests must carry as a bearer token; None: requests from this machine alone are answered.
        log_file: to which every input and its answer are written; None: none is.
    """

    def __init__(
        self,
        bundle: Bundle,
        version: int | None = None,
        limits: Limits | None = None,
        token: str | None = None,
        log_file: TextIO | None = None,
    ) -> None:
        self._limits, self._token, self._log_file = limits or Limits(), token, log_file
        self._measures = Measures(lambda: len(self.queue))
        self.queue = AnswerQueue(bundle, self._limits, version, self._measures.batch)

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/", self._page),
            Route("/healthz", self._health),
            Route("/metrics", self._measured("/metrics", self._metrics)),
            Route("/predict", self._measured("/predict", self._predict), methods=["POST"]),
            Route("/v1/models", self._measured("/v1/models", self._models)),
            Route("/v1/chat/completions", self._measured("/v1/chat/completions", self._chat), methods=["POST"]),
        ]
        # a name that another site lets point to this machine is not answered
        hosts = [in_url(host) for host in LOOPBACK] if self._token is None else ["*"]
        guards = [Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)]
        return Starlette(routes=routes, middleware=guards, lifespan=self._lifespan)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with self.queue.running():
            yield

    def _measured(
        self, path: str, answer: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Checks the token, counts, and turns what goes wrong into a response."""

        async def endpoint(request: Request) -> Response:
            begun = time.perf_counter()
            try:
                self._authorise(request)
                response = await answer(request)
                response.headers.update(PLAIN)
            except (RefusedError, QueueFullError, TimeoutError, UserError, ClientDisconnect) as error:
                response = _refusal(error, self._limits)
            except Exception as error:  # noqa: BLE001 - a bug: the server goes on, and says where it happened
                place = traceback.extract_tb(error.__traceback__)[-1]
                log.error("internal error: %s at %s:%d", type(error).__name__, place.filename, place.lineno)
                response = _error(500, f"internal error ({type(error).__name__})")
            self._measures.request(path, response.status_code, time.perf_counter() - begun)
            return response

        return endpoint

    def _authorise(self, request: Request) -> None:
        if self._token is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), self._token.encode()):
            raise RefusedError(401, "send the token: 'Authorization: Bearer ...'", {"WWW-Authenticate": "Bearer"})

    async def _body(self, request: Request) -> dict[str, Any]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":  # a form of another site cannot send this type
            raise RefusedError(415, "send JSON, with 'Content-Type: application/json'")
        body = bytearray()
        async with asyncio.timeout(self._limits.seconds):
            async for part in request.stream():
                body += part
                if len(body) > self._limits.body_bytes:
                    raise RefusedError(413, f"the body is larger than {self._limits.body_bytes:,} bytes")
        return read_json(bytes(body))

    async def _answers(self, inputs: Sequence[Input], several: bool = True) -> list[Reply]:
        bundle = self.queue.bundle
        texts = [bundle.text_of(one, f"inputs[{i}]" if several else "input") for i, one in enumerate(inputs)]
        replies = await self.queue.answers(texts, self._limits.seconds)
        self._measures.answers(replies)
        if self._log_file is not None:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            lines = [
                {"time": now, **_given_by(reply), "input": text, **_answer(reply)}
                for text, reply in zip(texts, replies, strict=True)
            ]
            self._log_file.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
            self._log_file.flush()
        return replies

    async def _predict(self, request: Request) -> Response:
        begun = time.perf_counter()
        inputs, several = read_inputs(await self._body(request))
        replies = await self._answers(inputs, several)
        answers = [_answer(reply) for reply in replies]
        took = {**_given_by(replies[-1]), "milliseconds": round((time.perf_counter() - begun) * 1000, 3)}
        return JSONResponse({"answers": answers, **took} if several else {**answers[0], **took})

    async def _chat(self, request: Request) -> Response:
        description = self.queue.bundle.description
        chat = read_chat(await self._body(request), description)
        (reply,) = await self._answers([chat.input], several=False)
        return _completion(description.task, reply.prediction, chat)

    async def _models(self, request: Request) -> Response:
        model = {"id": self.queue.bundle.description.task, "object": "model", "created": 0, "owned_by": "autoadapt"}
        return JSONResponse({"object": "list", "data": [model]})

    async def _metrics(self, request: Request) -> Response:
        return Response(self._measures.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _health(self, request: Request) -> Response:
        description = self.queue.bundle.description
        state = {"status": "ok", "task": description.task, "option": description.option, "version": self.queue.version}
        return JSONResponse(state, headers=PLAIN)

    async def _page(self, request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        text = page(self.queue.bundle.description, self._token is not None, nonce)
        return HTMLResponse(text, headers={**PLAIN, **page_headers(nonce)})


def _answer(reply: Reply) -> dict[str, Any]:
    description, prediction = reply.description, reply.prediction
    name = "answer" if description.labels is None else "label"
    part = {"part": prediction.part} if description.cascade is not None else {}
    return {name: prediction.answer, "confidence": rounded(prediction.confidence), **part}


def _given_by(reply: Reply) -> dict[str, Any]:
    version = {} if reply.version is None else {"version": reply.version}
    return {"option": reply.description.option, **version}


def _refusal(error: Exception, limits: Limits) -> Response:
    if isinstance(error, RefusedError):
        return _error(error.status, error.message, error.headers)
    if isinstance(error, QueueFullError):
        message = f"{limits.waiting:,} texts wait already; {error}"
        return _error(429, message, {"Retry-After": str(error.retry_after_s)})
    if isinstance(error, TimeoutError):
        return _error(503, f"not answered within {limits.seconds:g} s", {"Retry-After": "1"})
    if isinstance(error, UserError):
        return _error(422 if error.code == Exit.DATA else 502, str(error))
    return _error(400, "the connection ended before the body was whole")


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """An error in the form that OpenAI's clients read."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = {"error": {"message": message, "type": kind, "code": status}}
    return JSONResponse(body, status, headers={**PLAIN, **(headers or {})})


def _completion(model: str, prediction: Prediction, chat: Chat) -> Response:
    """An answer in the form of OpenAI's chat interface, whole or as a stream of one piece."""
    now, number = int(time.time()), f"chatcmpl-{secrets.token_hex(12)}"
    read, written = prediction.tokens_in, prediction.tokens_out
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    about = {"id": number, "created": now, "model": model}
    if not chat.stream:
        message = {"role": "assistant", "content": prediction.answer}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return JSONResponse({**about, "object": "chat.completion", "choices": [choice], "usage": usage})
    about["object"] = "chat.completion.chunk"
    delta = {"role": "assistant", "content": prediction.answer}
    pieces: list[dict[str, Any]] = [
        {**about, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**about, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]
    if chat.usage:
        pieces.append({**about, "choices": [], "usage": usage})
    lines = [f"data: {json.dumps(piece, ensure_ascii=False)}\n\n" for piece in pieces]
    # the answer is there as a whole, and sending it in pieces costs the server more than reading a request
    return Response("".join([*lines, "data: [DONE]\n\n"]), media_type="text/event-stream")
