"""A client that asks one model behind a server: paced, retried, and paid for by reservation."""

import email.utils
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2

from autoadapt.domain.remote import RemoteModel
from autoadapt.domain.usage import Usage
from autoadapt.errors import Exit, UserError
from autoadapt.providers.answer_store import AnswerStore, KeptAnswer, OutOfMoneyError
from autoadapt.providers.dialects import Dialect
from autoadapt.providers.pace import Pace
from autoadapt.providers.replies import NotAReplyError, Question, Reply
from autoadapt.providers.tariff import Tariff, estimated_tokens

OVERLOADED = {429, 503, 529}
FATAL = {401, 402, 403, 404, 405}
SHOWN = 200
"""Characters of a server's message that are shown."""


@dataclass(frozen=True)
class Access:
    """Where a model is, for one job."""

    model: RemoteModel
    url: str
    """With its version path."""
    key: str | None
    """Sent as a bearer token; kept in memory alone."""
    job: str
    """Under which what it costs is booked."""
    cap: float | None
    """The most that all jobs of the study may spend at providers, in USD; None: there is no limit."""


@dataclass
class Spending:
    """What a client has spent."""

    usd: float = 0.0
    estimated: bool = False

    def add(self, usd: float, estimated: bool) -> None:
        """Adds the cost of an attempt."""
        self.usd += usd
        self.estimated = self.estimated or (estimated and usd > 0)


class RequestFailedError(Exception):
    """A request that has no answer after all attempts, or that the server refuses.

    Args:
        message: of the server or of the network.
        fields: of the request that the server names as the reason.
        attempts: that were made.
        seconds: that it took.
    """

    def __init__(self, message: str, fields: tuple[str, ...] = (), attempts: int = 1, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.fields, self.attempts, self.seconds = fields, attempts, seconds
        self.spent = Spending()


@dataclass
class _Tried:
    """How an attempt ended."""

    kind: Literal["reply", "again", "refused", "fatal"]
    message: str = ""
    reply: Reply | None = None
    maybe_billed: bool = False
    """Whether the server may have done the work that it did not deliver."""
    overloaded: bool = False
    wait: float | None = None
    fields: tuple[str, ...] = field(default=())


class Client:
    """Asks one model. It is used within one event loop.

    Args:
        access: where the model is.
        store: where money is reserved.
        tick: called whenever an attempt ends, and while it waits.
    """

    def __init__(self, access: Access, store: AnswerStore, tick: Callable[[], None] = lambda: None) -> None:
        self.access, self.store, self.tariff = access, store, Tariff(access.model)
        self.pace = Pace(access.model.concurrency, tick)
        self.spent = Spending()
        self.stopped: BaseException | None = None
        """Why nothing more is sent; requests under way are still awaited, because they are billed anyway."""
        headers = {"Authorization": f"Bearer {access.key}"} if access.key else {}
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        self._http = httpx2.AsyncClient(headers=headers, timeout=access.model.timeout_s, limits=limits)

    async def close(self) -> None:
        """Closes all connections."""
        await self._http.aclose()

    async def ask(self, dialect: Dialect, question: Question) -> KeptAnswer:
        """Asks until there is an answer.

        Raises:
            RequestFailedError: there is none.
            OutOfMoneyError: the next attempt may cost more than is left.
            UserError: no request can succeed (a wrong key, an unknown model); exit 7.
        """
        spent, begun, attempt = Spending(), None, 0
        lost: list[int] = []
        try:
            while True:
                tried, sent, busy = await self._try(dialect, question, spent, lost)
                begun = sent if begun is None else begun
                seconds = time.perf_counter() - begun
                if tried.reply is not None:
                    self._correct(lost, spent, question, (tried.reply, busy))
                    return KeptAnswer(
                        reply=tried.reply,
                        usd=spent.usd,
                        usd_estimated=spent.estimated,
                        seconds=seconds,
                        busy_seconds=busy,
                        retries=attempt,
                    )
                if tried.kind == "fatal":
                    raise UserError(f"{self._name}: {tried.message}", Exit.PROVIDER)
                attempt += 1
                if tried.kind == "refused" or attempt > self.access.model.retries:
                    raise RequestFailedError(tried.message, tried.fields, attempt, seconds)
                if tried.wait is None:
                    await self.pace.back_off(attempt - 1)
        except RequestFailedError as error:
            error.spent = spent
            raise
        finally:
            self.spent.add(spent.usd, spent.estimated)

    async def ask_once(self, key: str, dialect: Dialect, question: Question) -> tuple[KeptAnswer, bool]:
        """What was answered before, or is now and is kept; and whether it was before.

        Args:
            key: of the question in the store.
            dialect: in which it is asked.
            question: what is asked.

        Raises:
            RequestFailedError: there is no answer; others as of `ask`.
        """
        before = self.store.answer(key)
        if before is not None:
            return before, True
        kept = await self.ask(dialect, question)
        self.store.keep(key, kept)
        return kept, False

    def usage(self, question: Question, kept: KeptAnswer) -> Usage:
        """What an answer has used: time of a server that is paid by time, tokens, and money."""
        tokens = kept.reply.tokens or estimated_tokens(question, kept.reply)
        held = {f"server at {self.access.url}": kept.busy_seconds}
        return Usage(
            device_seconds=held if self.tariff.by_device_time else {},
            tokens_in=tokens.fresh,
            tokens_cached=tokens.cached,
            tokens_out=tokens.out,
            tokens_reasoning=tokens.reasoning,
            usd=kept.usd,
            usd_estimated=kept.usd_estimated,
        )

    async def token_ids(self, words: Sequence[str]) -> dict[str, str]:
        """Word -> the id of its only token, of a server that has ``/tokenize``, as vLLM's and llama.cpp's; else empty.

        Nothing is written for that, and nothing is billed.
        """
        url = f"{self.access.url.rstrip('/').removesuffix('/v1')}/tokenize"
        ids: dict[str, str] = {}
        for word in words:
            body = {"model": self.access.model.model, "prompt": word, "content": word, "add_special_tokens": False}
            try:
                answer = await self._http.post(url, json=body)
                tokens = answer.json()["tokens"] if answer.is_success else []
            except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, KeyError, TypeError, RecursionError):
                return {}
            if not (isinstance(tokens, list) and len(tokens) == 1 and isinstance(tokens[0], int)):
                return {}
            ids[word] = str(tokens[0])
        return ids

    @property
    def _name(self) -> str:
        return f"model '{self.access.model.model}' at {self.access.url}"

    def _correct(self, lost: list[int], spent: Spending, question: Question, repeated: tuple[Reply, float]) -> None:
        """Books attempts whose answers were lost at what their repetition has cost, in place of the most possible."""
        usd = min(self.tariff.cost_of_lost(question, *repeated), self.tariff.most(question))
        for number in lost:
            self.store.settle(number, usd, estimated=True)
            spent.add(usd - self.tariff.most(question), estimated=False)

    async def _try(
        self, dialect: Dialect, question: Question, spent: Spending, lost: list[int]
    ) -> tuple[_Tried, float, float]:
        """One attempt, when it was sent, and its share of the server's time; where its answer was lost, it is noted."""
        most = self.tariff.most(question)
        number = await self._place_and_money(most)
        sent, sent_at = time.perf_counter(), time.monotonic()
        usd, estimated = most, True  # what a request costs that is broken off
        try:
            with self.pace.at_server() as share:
                tried = await self._post(dialect, question)
            busy = share()
            if tried.reply is not None:
                usd, estimated = self.tariff.cost(question, tried.reply, busy)
                self.pace.succeeded()
            elif tried.maybe_billed:
                lost.append(number)
            else:
                usd, estimated = 0.0, False
        finally:
            self.store.settle(number, usd, estimated)
            spent.add(usd, estimated)
            await self.pace.end()
        if tried.overloaded or tried.wait is not None:
            self.pace.overloaded(sent_at, tried.wait)
        return tried, sent, busy

    async def _place_and_money(self, most: float) -> int:
        """A place among the requests under way and a reservation of money, waited for while others may free some."""
        while True:
            await self.pace.begin()
            try:
                if self.stopped is not None:
                    raise self.stopped
                return self.store.reserve(self.access.job, most, self.access.cap)
            except OutOfMoneyError:
                await self.pace.end()
                if not await self.pace.another_ends():
                    raise
            except BaseException:
                await self.pace.end()
                raise

    async def _post(self, dialect: Dialect, question: Question) -> _Tried:
        url = self.access.url.rstrip("/") + dialect.path
        try:
            answer = await self._http.post(url, json=dialect.body(question))
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            return _Tried("again", f"no connection ({type(error).__name__}: {error})")
        except httpx2.TimeoutException:
            return _Tried("again", f"no answer within {self.access.model.timeout_s:g} s", maybe_billed=True)
        except httpx2.HTTPError as error:
            return _Tried("again", f"the connection broke ({type(error).__name__})", maybe_billed=True)
        except httpx2.InvalidURL as error:
            return _Tried("fatal", f"not a URL: {error}")
        if answer.is_success:
            return self._delivered(dialect, answer)
        return self._undelivered(answer)

    def _delivered(self, dialect: Dialect, answer: httpx2.Response) -> _Tried:
        try:
            content = _final_event(answer.text) if "event-stream" in _kind_of(answer) else answer.text
            body = json.loads(content)
            if isinstance(body, dict) and body.get("error"):
                return _Tried("again", self._shown(str(body["error"])))
            if not isinstance(body, dict):
                raise NotAReplyError("the answer is not an object")
            return _Tried("reply", reply=dialect.read(body))
        except (ValueError, RecursionError, NotAReplyError) as error:
            not_json = f"{_kind_of(answer) or 'text'} that is not JSON"
            what = str(error) if isinstance(error, NotAReplyError) else not_json
            shown = f"{what}: {self._shown(answer.text)}" if answer.text.strip() else "an empty answer"
            return _Tried("again", f"it answers with {shown}", maybe_billed=True)

    def _undelivered(self, answer: httpx2.Response) -> _Tried:
        status, (message, fields) = answer.status_code, _error_of(answer)
        message = f"status {status}: {self._shown(message)}"
        if status in FATAL or answer.is_redirect or "insufficient_quota" in answer.text:
            return _Tried("fatal", message)
        if status < 500 and status not in (408, 409, 425, 429):
            return _Tried("refused", message, fields=fields)
        return _Tried("again", message, overloaded=status in OVERLOADED, wait=_retry_after(answer))

    def _shown(self, text: str) -> str:
        """A server's words in one inert line, without the key, which some servers repeat."""
        line = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
        return (line.replace(self.access.key, "***") if self.access.key else line)[:SHOWN]


def _kind_of(answer: httpx2.Response) -> str:
    return str(answer.headers.get("content-type", "")).split(";")[0]


def _error_of(answer: httpx2.Response) -> tuple[str, tuple[str, ...]]:
    """What an error says, and which fields of the request it names."""
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        return answer.text or answer.reason_phrase, ()
    error: Any = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        param = error.get("param")
        text = str(error.get("message") or error.get("detail") or error)
        return text, (param,) if isinstance(param, str) and param else ()
    return str(error), ()


def _retry_after(answer: httpx2.Response) -> float | None:
    """Seconds that a server asks to wait, which it states as a number or as a date."""
    stated = answer.headers.get("retry-after")
    if stated is None:
        return None
    try:
        return max(0.0, float(stated))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(stated).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _final_event(text: str) -> str:
    """The whole response within a stream of events, which some servers send unasked."""
    for line in text.splitlines():
        if line.startswith("data:") and '"response.completed"' in line:
            event = json.loads(line[5:])
            return json.dumps(event.get("response") if isinstance(event, dict) else event)
    return ""
