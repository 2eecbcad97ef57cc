"""autoadapt serve: a real server in a process of its own, asked over HTTP."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import call
from exporting import words_bundle

from autoadapt.api.serve import _listening
from autoadapt.bundle.loaded import Bundle
from autoadapt.bundle.serving.limits import Address

TEXTS = ["a ripe apple", "the long saw", "two young deer"]


class Serving:
    """A server of a bundle in a process of its own."""

    def __init__(self, bundle: Path, *arguments: object, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "autoadapt", "serve", str(bundle), "--port", "0", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        assert self.process.stdout is not None
        self.printed: list[str] = []
        for line in self.process.stdout:
            self.printed.append(line)
            if line.startswith("http://"):
                break
        else:
            pytest.fail(self.process.communicate()[1])
        self.url = self.printed[-1].split()[0]
        self.client = httpx2.Client(base_url=self.url, timeout=60)

    def predict(self, body: object, **options: Any) -> httpx2.Response:
        return self.client.post("/predict", json=body, **options)

    def end(self) -> int:
        """Ends it as a supervisor does; returns the exit code."""
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=60)
        assert not errors, errors
        return self.process.returncode


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return words_bundle(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def serving(bundle: Path) -> Iterator[Serving]:
    server = Serving(bundle, "--body-bytes", 100_000)
    yield server
    assert server.end() == 0


Start = Callable[..., Serving]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers, and ends those that are still there."""
    started: list[Serving] = []

    def begin(*arguments: Any, **options: Any) -> Serving:
        started.append(Serving(*arguments, **options))
        return started[-1]

    yield begin
    for server in started:
        server.client.close()
        server.process.kill()
        server.process.communicate()


def test_answers_are_those_of_the_bundle(serving: Serving, bundle: Path) -> None:
    with Bundle.load(bundle) as loaded:
        expected = [(p.answer, round(p.confidence or 0.0, 6)) for p in loaded.predict(TEXTS)]
    several = serving.predict({"inputs": TEXTS}).json()
    assert [(a["label"], a["confidence"]) for a in several["answers"]] == expected
    assert several["option"] == "0"
    one = serving.predict({"input": {"text": TEXTS[1]}}).json()
    assert (one["label"], one["confidence"]) == expected[1]
    assert one["milliseconds"] > 0


def test_the_chat_interface_gives_the_same_answers(serving: Serving, bundle: Path, tmp_path: Path) -> None:
    (model,) = serving.client.get("/v1/models").json()["data"]
    with Bundle.load(bundle) as loaded:
        (expected,) = loaded.predict(TEXTS[:1])
    message: dict[str, Any] = {"role": "user", "content": [{"type": "text", "text": TEXTS[0]}]}
    found = serving.client.post("/v1/chat/completions", json={"model": model["id"], "messages": [message]}).json()
    assert found["choices"][0]["message"] == {"role": "assistant", "content": expected.answer}
    assert found["usage"]["prompt_tokens"] == expected.tokens_in > 0
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join(TEXTS))
    address = [f"{serving.url}/v1", "--model", model["id"], "--interface", "chat", "--prompts", prompts]
    done = call("latency", *address, "--rate", "50", "--requests", "60", "--fixed")  # reads streams
    assert done.returncode == 0, done.stderr
    assert "60 sent, 0 failed" in done.stdout


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 400, "not valid JSON"),
        (b"[1]", 400, "send an object"),
        (b"[" * 50_000, 400, "not valid JSON"),
        (b'{"input": "\\ud800"}', 400, "surrogate"),
        (b"{}", 400, "send one of 'input'"),
        (b'{"input": "a", "inputs": ["a"]}', 400, "send one of 'input'"),
        (b'{"inptu": "a"}', 400, "'inptu' is not known"),
        (b'{"inputs": []}', 400, "at least one"),
        (b'{"inputs": ["a", 5]}', 400, "'inputs[1]' must be a text"),
        (b'{"input": {"txt": "a"}}', 422, "did you mean 'txt'"),
        (b'{"input": {"text": ["a"]}}', 422, "holds a list"),
        (json.dumps({"inputs": ["a"] * 300}).encode(), 413, "at most 256"),
        (json.dumps({"input": "a" * 100_001}).encode(), 413, "larger than 100,000 bytes"),
    ],
)
def test_a_wrong_request_is_refused_with_what_to_send(serving: Serving, body: bytes, status: int, says: str) -> None:
    response = serving.client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, says in response.json()["error"]["message"]) == (status, True), response.text
    assert serving.predict({"input": "a ripe apple"}).status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"model": "gpt-5"}, 404, "it is called 'fruits'"),
        ({"n": 2}, 400, "'n' must be 1"),
        ({"messages": []}, 400, "one message by the user"),
        ({"messages": "a"}, 400, "one message by the user"),
        ({"messages": [{"role": "user"}]}, 400, "one message by the user"),
        (
            {"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "a"}]},
            400,
            "part of the option",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "must be a text"),
    ],
)
def test_a_wrong_chat_request_is_refused(serving: Serving, change: dict[str, Any], status: int, says: str) -> None:
    body = {"model": "fruits", "messages": [{"role": "user", "content": "a"}], **change}
    response = serving.client.post("/v1/chat/completions", json=body)
    assert (response.status_code, says in response.json()["error"]["message"]) == (status, True), response.text


def test_other_sites_cannot_ask_through_a_browser(serving: Serving) -> None:
    form = serving.client.post("/predict", content=b'{"input": "a"}', headers={"Content-Type": "text/plain"})
    assert form.status_code == 415
    renamed = serving.predict({"input": "a"}, headers={"Host": "evil.example"})
    assert renamed.status_code == 400
    assert "access-control-allow-origin" not in serving.predict({"input": "a"}).headers


def test_requests_and_answers_are_counted(serving: Serving) -> None:
    def count(name: str) -> float:
        lines = serving.client.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)

    names = ['autoadapt_requests_total{path="/predict",status="200"}', 'autoadapt_answers_total{answer="fruit"}']
    before = [count(name) for name in names]
    assert serving.predict({"inputs": ["a ripe apple"] * 5}).json()["answers"][0]["label"] == "fruit"
    assert [count(name) for name in names] == [before[0] + 1, before[1] + 5]
    assert count("autoadapt_waiting") == 0
    assert count("process_resident_memory_bytes") > 1e6
    assert serving.client.get("/healthz").json()["status"] == "ok"
    assert serving.client.get("/no-such-page").status_code == 404


def test_the_page_answers_in_a_browser(serving: Serving, browser: Any) -> None:
    from playwright.sync_api import expect

    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("requestfailed", lambda request: said.append(request.url))
    page.goto(serving.url)
    page.fill("textarea[name=text]", "<b>a ripe apple</b>")
    page.click("button")
    expect(page.locator("#answer")).not_to_be_empty()  # the page allows no function to be made of a text
    assert page.inner_text("#answer") == "fruit"
    assert "confidence 0." in page.inner_text("#about")
    assert [line for line in said if "favicon" not in line] == []
    page.close()


def test_answers_are_sent_at_once() -> None:
    """The fault was that the body of an answer waited 40 ms for the receipt of its head."""
    with _listening(Address(port=0)) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_token_is_needed_where_one_is_set(bundle: Path, start: Start) -> None:
    server = start(bundle, "--host", "0.0.0.0", "--token-env", "SERVE_TOKEN", env={"SERVE_TOKEN": "s3cret"})
    server.client.base_url = server.url.replace("0.0.0.0", "127.0.0.1")  # type: ignore[assignment]
    assert server.predict({"input": "a"}).status_code == 401
    for given in ("s3cre", "s3cret2", "\u00e9"):
        wrong = server.predict({"input": "a"}, headers={"Authorization": f"Bearer {given}".encode()})
        assert wrong.status_code == 401
    assert server.predict({"input": "a"}, headers={"Authorization": "Bearer s3cret"}).status_code == 200
    assert server.client.get("/metrics").status_code == 401
    assert server.client.get("/healthz").status_code == 200
    assert server.end() == 0
    assert "s3cret" not in "".join(server.printed)


def test_where_it_cannot_listen_it_says_so_before_a_model_is_loaded(
    bundle: Path, serving: Serving, tmp_path: Path
) -> None:
    refused = call("serve", bundle, "--host", "0.0.0.0")
    assert refused.returncode == 2
    assert "--token-env" in refused.stderr
    taken = call("serve", bundle, "--port", serving.url.rsplit(":", 1)[1])
    assert taken.returncode == 4
    assert "choose another --port" in taken.stderr
    unset = call("serve", bundle, "--token-env", "NO_SUCH_VARIABLE")
    assert unset.returncode == 2
    assert "NO_SUCH_VARIABLE" in unset.stderr
    nowhere = call("serve", bundle, "--port", "0", "--log", tmp_path / "no" / "log.jsonl")
    assert nowhere.returncode == 4
    assert "cannot be written" in nowhere.stderr
    absent = call("serve", tmp_path, "--port", "0")
    assert absent.returncode == 3
    assert "there is no bundle" in absent.stderr


def test_without_the_extra_it_says_what_to_install(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "autoadapt.bundle.serving.server", None)
    done = call("serve", bundle)
    assert done.returncode == 4
    assert "pip install 'autoadapt[serve]'" in done.stderr


def test_a_log_holds_inputs_and_answers_and_is_private(bundle: Path, tmp_path: Path, start: Start) -> None:
    log = tmp_path / "requests.jsonl"
    log.write_text('{"before": 1}\n')
    log.chmod(0o600)
    server = start(bundle, "--log", log)
    server.predict({"inputs": TEXTS[:2]})
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert server.end() == 0
    assert lines[0] == {"before": 1}
    assert [line["input"] for line in lines[1:]] == TEXTS[:2]
    assert {*lines[1]} == {"time", "option", "input", "label", "confidence"}
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_what_came_before_a_signal_is_answered(bundle: Path, start: Start) -> None:
    server = start(bundle)
    statuses: list[int] = []
    begun = threading.Semaphore(0)

    def ask() -> None:
        with httpx2.Client(base_url=server.url, timeout=60) as client:
            client.get("/healthz")
            begun.release()
            statuses.append(client.post("/predict", json={"inputs": TEXTS * 80}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in threads:
        begun.acquire()
    texts = len(threads) * len(TEXTS) * 80

    def arrived() -> float:
        """Texts that were answered, that wait, or that may be in the batch that is being answered."""
        lines = server.client.get("/metrics").text.splitlines()
        names = ("autoadapt_batch_rows_sum", "autoadapt_waiting")
        return 64 + sum(float(line.split()[-1]) for line in lines if line.startswith(names))

    deadline = time.monotonic() + 60
    while arrived() < texts:
        assert time.monotonic() < deadline
    assert server.end() == 0
    for thread in threads:
        thread.join()
    assert statuses == [200] * len(threads)
