"""A real HTTP server that speaks OpenAI's interface and keeps its own ledger, and a proxy that injects faults."""

import hashlib
import json
import math
import random
import re
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from conftest import TEXTS

PRICE = {"input": 1.0, "cached": 0.1, "output": 4.0}
"""USD per million tokens, in the tests' tasks."""


@dataclass
class Judging:
    """How the server grades answers: by the words that they share with the reference, and by its faults."""

    bias: float = 0.0
    """Added to every score (from 0 to 1) but that of an answer without words."""
    for_nothing: float = 0.0
    """Score of an answer without any word of the reference."""
    for_the_first: float = 0.0
    """Added to the score of what is shown first."""
    honest: bool = True
    """False: scores have nothing to do with the answers."""
    garbles: int = 0
    """One first reply of so many is no JSON; 0: none is."""
    refuses_to_parse: bool = False
    """Whether no reply is JSON."""

    def reply(self, prompt: str) -> str:
        """The verdict on the blocks of data that the prompt marks as such."""
        blocks = re.findall(r"^\[([0-9a-f]{32}) begin ([a-z ]+)\]\n(.*?)\n?\[\1 end \2\]$", prompt, re.M | re.S)
        named = [(name, text) for _, name, text in blocks if name != "input"]
        number = int(hashlib.sha256(prompt.encode()).hexdigest()[:8], 16)
        if self.refuses_to_parse or (self.garbles and number % self.garbles == 0 and "must be this JSON" not in prompt):
            return "I would say that this is rather good."
        if any(name == "answer" for name, _ in named):
            texts = dict(named)
            first = named[0][0] == "answer"
            score = self._score(texts["answer"], texts["reference"], number, first)
            scale = int(re.findall(r"0 to (\d+) whole points", prompt)[0])
            return json.dumps({"points": round(score * scale)})
        one, two = (text for _, text in named)
        better = {True: "first", False: "second"}[len(one) + 100 * self.for_the_first >= len(two)]
        return json.dumps({"better": "equal" if one == two and not self.for_the_first else better})

    def _score(self, answer: str, reference: str, number: int, first: bool) -> float:
        if not self.honest:
            return number % 11 / 10
        shared = {*answer.lower().split()} & {*reference.lower().split()}
        words = {*answer.lower().split()} | {*reference.lower().split()}
        if not shared:
            return self.for_nothing
        return min(1.0, max(0.0, len(shared) / len(words) + self.bias + self.for_the_first * first))


@dataclass
class Behaviour:
    """What the server does; tests change it while it runs."""

    obeys_schema: str | None = "json_schema"
    """The field that holds answers to labels: json_schema, structured_outputs, grammar; None: it ignores them all."""
    gives_logprobs: bool = True
    refuses: tuple[str, ...] = ()
    """Fields that it answers with 400."""
    typed: tuple[str, ...] = ("/decisions",)
    """Paths of typed questions that it has."""
    states_usage: bool = True
    key: str | None = None
    answer: tuple[int, str] | None = None
    """Status and body that every request gets."""
    wrong_every: int = 7
    """One text of so many is answered wrongly; by its content, so that it repeats."""
    reasoning_tokens: int = 0
    streams_unasked: bool = False
    refuses_texts: str | None = None
    """Inputs with this word are declined."""
    writes: tuple[str, ...] = ()
    """Instructions that it writes, one after the other and again from the first, when it is asked for one."""
    seconds: float = 0.0
    busy_above: int | None = None
    """With more requests at a time it answers 429."""
    retry_after: str = "0.05"
    strays: tuple[int, ...] = ()
    """Seeds with which a drawn answer is another label."""
    refused_efforts: tuple[str, ...] = ()
    draws_without_effort_alone: bool = False
    """Whether it takes a temperature and gives log-probabilities only where it is told not to reason."""
    tells_tokens: bool = False
    """Whether it has /tokenize and obeys logit_bias."""
    likes: str = ""
    """Option letter that it answers where an input says nothing; empty: yes."""
    judges: "Judging" = field(default_factory=lambda: Judging())
    """How it grades, where it is asked to."""


@dataclass
class Ledger:
    """What the server has done, as a provider's bill would say."""

    fresh: int = 0
    cached: int = 0
    out: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    most_at_once: int = 0
    spans: list[tuple[float, float]] = field(default_factory=list)
    """Of each request with an answer, in the order of its end: when it came and when it was answered, in seconds."""

    @property
    def usd(self) -> float:
        """The bill."""
        return (self.fresh * PRICE["input"] + self.cached * PRICE["cached"] + self.out * PRICE["output"]) / 1e6

    @property
    def requests(self) -> int:
        """Requests that were answered and billed."""
        return self.statuses[200]


def guess(prompt: str, wrong_every: int) -> str:
    """The label of the last text in a prompt."""
    labels = list(TEXTS)
    where = {label: max(prompt.rfind(text) for text in texts) for label, texts in TEXTS.items()}
    best = max(labels, key=where.__getitem__)
    number = re.findall(r"no\. (\d+)", prompt)
    if number and int(number[-1]) % wrong_every == 0:
        return labels[(labels.index(best) + 1) % len(labels)]
    return best if where[best] >= 0 else "yes"


def extracted(prompt: str, schema: dict[str, Any]) -> str:
    """An object of the schema with what its fields may be of the last text of a prompt."""
    text = prompt.strip().splitlines()[-2]
    made: dict[str, Any] = {}
    for name, field_ in schema["properties"].items():
        if "enum" in field_:
            made[name] = next((value for value in field_["enum"] if str(value) in text), field_["enum"][0])
        elif numbers := re.findall(r"\d+", text):
            made[name] = int(numbers[0])
    return json.dumps(made)


class Chat:
    """The server's answers.

    Args:
        behaviour: what it does.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour, self.ledger, self.lock, self.active = behaviour, Ledger(), threading.Lock(), 0
        self.written = 0
        """Instructions that it has written."""

    def reply(self, path: str, body: dict[str, Any], key: str | None) -> tuple[int, dict[str, str], str]:
        """Status, headers and text."""
        b, came = self.behaviour, time.perf_counter()
        with self.lock:
            self.active += 1
            self.ledger.most_at_once = max(self.ledger.most_at_once, self.active)
            busy = b.busy_above is not None and self.active > b.busy_above
        try:
            status, headers, text = (
                (429, {"Retry-After": b.retry_after}, error("slow down")) if busy else self._reply(path, body, key)
            )
        finally:
            with self.lock:
                self.active -= 1
        with self.lock:
            self.ledger.statuses[status] += 1
            if status == 200:
                self.ledger.spans.append((came, time.perf_counter()))
        return status, headers, text

    def _reply(self, path: str, body: dict[str, Any], key: str | None) -> tuple[int, dict[str, str], str]:
        b = self.behaviour
        with self.lock:
            self.ledger.bodies.append({"path": path, **body})
            self.ledger.keys.append(key)
        if b.answer is not None:
            return (
                b.answer[0],
                {"Content-Type": "text/html" if "<html" in b.answer[1] else "application/json"},
                b.answer[1],
            )
        if b.key is not None and key != f"Bearer {b.key}":
            return 401, {}, error(f"wrong key {key}")
        effort = body.get("reasoning_effort")
        reasons = b.draws_without_effort_alone and effort not in (None, "none")
        for name in (*b.refuses, *(("temperature", "top_p", "logprobs") if reasons else ())):
            if name in body:
                return 400, {}, json.dumps({"error": {"message": f"Unsupported parameter: '{name}'", "param": name}})
        if effort in b.refused_efforts:
            return 400, {}, json.dumps({"error": {"message": "Unsupported value", "param": "reasoning_effort"}})
        time.sleep(b.seconds)
        if path == "/tokenize" and b.tells_tokens:
            return 200, {}, json.dumps({"tokens": [ord(c) for c in body["prompt"]]})
        path = path.removeprefix("/v1")
        if path in ("/decisions", "/systemone"):
            return self._typed(path, body) if path in b.typed else (404, {}, error("no such path"))
        if body.get("model") != "m":
            return 404, {}, error(f"the model {body.get('model')!r} does not exist")
        return self._written(path, body)

    def _typed(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        prompt = body.get("input") or body["state"]
        question = body["questions"][0] if path == "/decisions" else body["questions"]["answer"]
        labels = [c["value"] for c in question["choices"]] if path == "/decisions" else list(question["criteria"])
        usage = self._usage(prompt, 0, "input_tokens", "output_tokens")
        best = guess(prompt, self.behaviour.wrong_every)
        best = best if best in labels else labels[0]
        p = {label: 0.7 if label == best else 0.3 / (len(labels) - 1) for label in labels}
        if path == "/decisions":
            listed = [{"value": label, "probability": share} for label, share in p.items()]
            answer: Any = [
                {"type": "choice", "name": "answer", "choice": best, "confidence": 0.6, "probabilities": listed}
            ]
        else:
            answer = {"answer": {"type": "choice", "choice": best, "confidence": 0.6, "probabilities": p}}
        return 200, {}, json.dumps({"model": "m-2026", "answers": answer, **usage})

    def _written(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        b, responses = self.behaviour, path == "/responses"
        prompt = body["input"] if responses else body["messages"][0]["content"]
        text = self._text(prompt, body)
        for stop in body.get("stop") or []:
            text = text.split(stop)[0]
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or body.get("max_output_tokens") or 10**6
        words = text.split(" ")[: max(1, limit)]
        text = " ".join(words)
        declined = b.refuses_texts is not None and b.refuses_texts in prompt.strip().splitlines()[-2:][0]
        reasoning = b.reasoning_tokens if body.get("reasoning_effort") != "none" else 0
        out = len(words) + reasoning
        if responses:
            usage = self._usage(prompt, out, "input_tokens", "output_tokens", reasoning)
            part = (
                {"type": "refusal", "refusal": "no"}
                if declined
                else {"type": "output_text", "text": text, "logprobs": self._scores(text, body)}
            )
            item = {"type": "message", "role": "assistant", "content": [part]}
            answer = {"model": "m-2026", "status": "completed", "output": [item], **usage}
            if b.streams_unasked:
                event = {"type": "response.completed", "response": answer}
                return (
                    200,
                    {"Content-Type": "text/event-stream"},
                    f"event: x\ndata: {json.dumps(event)}\n\ndata: [DONE]\n\n",
                )
            return 200, {}, json.dumps(answer)
        usage = self._usage(prompt, out, "prompt_tokens", "completion_tokens", reasoning)
        message = {"role": "assistant", "content": None if declined else text, "refusal": "no" if declined else None}
        choice: dict[str, Any] = {"message": message, "finish_reason": "stop"}
        if body.get("logprobs") and b.gives_logprobs:
            choice["logprobs"] = {"content": self._scores(text, body)}
        return 200, {}, json.dumps({"model": "m-2026", "system_fingerprint": "fp_7", "choices": [choice], **usage})

    def _text(self, prompt: str, body: dict[str, Any]) -> str:
        b = self.behaviour
        if prompt.startswith("You grade an answer."):
            return b.judges.reply(prompt)
        if b.writes and ("<instruction>" in prompt or "```" in prompt):
            return self._instruction(prompt)
        label = guess(prompt, b.wrong_every)
        if body.get("logit_bias") and b.tells_tokens:
            return chr(int(max(body["logit_bias"], key=body["logit_bias"].__getitem__)))
        if body.get("temperature") and body.get("seed") in b.strays:
            labels = list(TEXTS)
            label = labels[(labels.index(label) + 1) % len(labels)] if label in labels else label
        if "Think step by step" in prompt:
            return f"It might be any {' or '.join(TEXTS)}. It is nearest to one of them.\nAnswer: {label}"
        letters = dict(re.findall(r"^([A-T])\. (\w+)$", prompt, re.M))
        if letters and "letter alone" in prompt:
            return next((letter for letter, name in letters.items() if name == label), b.likes or "A")
        return self._constrained(prompt, body, label)

    def _instruction(self, prompt: str) -> str:
        with self.lock:
            text = self.behaviour.writes[self.written % len(self.behaviour.writes)]
            self.written += 1
        return f"<instruction>\n{text}\n</instruction>" if "<instruction>" in prompt else f"```\n{text}\n```"

    def _constrained(self, prompt: str, body: dict[str, Any], label: str) -> str:
        b = self.behaviour
        if b.obeys_schema == "json_schema" and "json_schema" in str(body.get("response_format") or body.get("text")):
            format_ = body["response_format"]["json_schema"] if "response_format" in body else body["text"]["format"]
            if "label" not in format_["schema"]["properties"]:
                return extracted(prompt, format_["schema"])
            allowed = format_["schema"]["properties"]["label"]["enum"]
            return json.dumps({"label": label if label in allowed else allowed[0]})
        if b.obeys_schema == "structured_outputs" and "structured_outputs" in body:
            allowed = body["structured_outputs"]["choice"]
            return str(label if label in allowed else allowed[0])
        if b.obeys_schema == "grammar" and "grammar" in body:
            allowed = re.findall(r'"(\w+)"', body["grammar"])
            return str(label if label in allowed else allowed[0])
        return "Blue." if "sky" in prompt else f"I think it is a {label}."

    def _scores(self, text: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        if not self.behaviour.gives_logprobs:
            return []
        others = [{"token": letter, "logprob": math.log(0.1)} for letter in "ABC" if letter != text]
        if not body.get("top_logprobs"):
            others = []
        pieces = re.findall(r"\s*\S+", text)
        return [
            {
                "token": piece,
                "logprob": math.log(0.8),
                "top_logprobs": [{"token": piece, "logprob": math.log(0.8)}, *others][: body.get("top_logprobs") or 0],
            }
            for piece in pieces
        ]

    def _usage(self, prompt: str, out: int, read: str, written: str, reasoning: int = 0) -> dict[str, Any]:
        """Words are tokens; of a long prompt a quarter was found in the cache."""
        total = len(prompt.split())
        cached = total // 4 if total > 20 else 0
        with self.lock:
            self.ledger.fresh += total - cached
            self.ledger.cached += cached
            self.ledger.out += out
        if not self.behaviour.states_usage:
            return {}
        details = {
            f"{read}_details": {"cached_tokens": cached},
            f"{written}_details": {"reasoning_tokens": reasoning},
        }
        return {"usage": {read: total, written: out, **details}}


def error(message: str) -> str:
    """An error's body."""
    return json.dumps({"error": {"message": message}})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body would wait for each other's acknowledgement
    wbufsize = -1

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        status, headers, text = self.server.respond(self.path, raw, self.headers.get("Authorization"))  # type: ignore[attr-defined]
        body = text.encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # the client has given up
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        pass


class Http(ThreadingHTTPServer):
    """Answers POST requests by a function.

    Args:
        respond: path, body and Authorization to status, headers and text.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, respond: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.respond = respond

    @property
    def url(self) -> str:
        """With the version path."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off is no error of the server."""


@contextmanager
def serving(respond: Any) -> Iterator[Http]:
    """A server in a thread."""
    server = Http(respond)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def busy_seconds(spans: list[tuple[float, float]]) -> float:
    """In which at least one of the spans was under way."""
    busy, until = 0.0, -math.inf
    for start, end in sorted(spans):
        busy, until = busy + max(end - max(start, until), 0.0), max(until, end)
    return busy


@contextmanager
def chat_server(**behaviour: Any) -> Iterator[tuple[str, Chat]]:
    """The server's URL, and the server."""
    chat = Chat(Behaviour(**behaviour))
    with serving(lambda path, raw, key: chat.reply(path, json.loads(raw), key)) as server:
        yield server.url, chat


FAULTS = ("429", "500", "timeout", "garbage", "no usage")


@contextmanager
def faulty_proxy(
    target: str, share: float = 0.2, seed: int = 0, hang_s: float = 1.0, quiet: int = 0
) -> Iterator[tuple[str, Counter[str]]]:
    """A proxy that spoils a share of the requests, and counts by which fault.

    A time-out, garbage and a missing usage come after the server has done, and billed, the work.

    Args:
        target: URL of the server.
        share: of requests that are spoilt.
        seed: of the faults.
        hang_s: for which it sits on an answer.
        quiet: requests that are passed on unspoilt at first.
    """
    draws, lock, injected = random.Random(seed), threading.Lock(), Counter[str]()
    passed = 0

    def respond(path: str, raw: bytes, key: str | None) -> tuple[int, dict[str, str], str]:
        nonlocal passed
        with lock:
            passed += 1
            fault = draws.choice(FAULTS) if draws.random() < share and passed > quiet else ""
            injected[fault] += 1
        if fault == "429":
            return 429, {"Retry-After": "0.05"}, error("slow down")
        if fault == "500":
            return 500, {}, "oops"
        request = urllib.request.Request(
            target.removesuffix("/v1") + path,
            raw,
            {"Content-Type": "application/json", **({"Authorization": key} if key else {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as failed:
            with failed:
                return (
                    failed.code,
                    {k: v for k, v in failed.headers.items() if k == "Retry-After"},
                    failed.read().decode(),
                )
        if fault == "timeout":
            time.sleep(hang_s)
        if fault == "garbage":
            return 200, {}, text[: len(text) // 2]
        if fault == "no usage":
            return status, {}, json.dumps({k: v for k, v in json.loads(text).items() if k != "usage"})
        return status, {}, text

    with serving(respond) as server:
        yield server.url, injected
