"""A real HTTP server that speaks OpenAI's interface, measured over the network of this machine."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conftest import environment

from autoadapt.assess.server_load import LoadSettings, measure_server, read_prompts, send
from autoadapt.errors import UserError
from autoadapt.providers.openai import Server

TOKENS, FIRST_S, NEXT_S = 5, 0.02, 0.005


class Handler(BaseHTTPRequestHandler):
    """Streams TOKENS words, one request at a time: others wait, as behind one model."""

    protocol_version = "HTTP/1.1"
    one_at_a_time = threading.Lock()
    asked: ClassVar[list[dict[str, Any]]] = []
    keys: ClassVar[list[str | None]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append({"path": self.path, **body})
        self.keys.append(self.headers.get("Authorization"))
        special = {
            "error": (500, b"out of order"),
            "html": (200, b"<html>no</html>"),
            "garbage": (200, b"data: {no\n\n"),
        }
        prompt = body.get("prompt") or body["messages"][0]["content"]
        if prompt in special:
            status, text = special[prompt]
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        with self.one_at_a_time:
            time.sleep(FIRST_S)
            for i in range(TOKENS):
                text = f"word{i} "
                choice = {"text": text} if "prompt" in body else {"delta": {"content": text}}
                self.event({"choices": [choice]})
                time.sleep(NEXT_S)
        self.event({"choices": [], "usage": {"completion_tokens": TOKENS}})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def event(self, content: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(content)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Handler.asked.clear()
    Handler.keys.clear()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


def ask(server: Server, prompt: str) -> Any:
    return asyncio.run(send(server, [prompt], [0.0], 1.0))[1][0]


@pytest.mark.parametrize("interface", ["completions", "chat"])
def test_a_stream_is_read_and_timed(url: str, interface: Any) -> None:
    answer = ask(Server(url, "m", interface, max_tokens=7, key="secret"), "hello")
    assert answer.failure is None
    assert answer.text.split() == [f"word{i}" for i in range(TOKENS)]
    assert answer.tokens_out == TOKENS
    assert answer.first - answer.sent >= FIRST_S
    assert answer.done - answer.first >= NEXT_S * (TOKENS - 1)
    sent = Handler.asked[0]
    assert sent["path"].endswith("completions" if interface == "completions" else "chat/completions")
    assert (sent["max_tokens"], sent["model"], sent["stream"]) == (7, "m", True)
    assert Handler.keys == ["Bearer secret"]


@pytest.mark.parametrize(("prompt", "said"), [("error", "status 500"), ("html", "empty"), ("garbage", "not JSON")])
def test_what_a_server_does_wrong_is_a_failed_request(url: str, prompt: str, said: str) -> None:
    assert said in (ask(Server(url, "m"), prompt).failure or "")


def test_nobody_there_is_one_message(url: str) -> None:
    def measure(where: str, prompts: list[str]) -> None:
        measure_server(Server(where, "m"), prompts, LoadSettings(requests=1, search=False, seconds=1))

    with pytest.raises(UserError, match="no answer") as raised:
        measure("http://127.0.0.1:9/v1", ["a"])
    assert raised.value.code == 7
    with pytest.raises(UserError, match="status 500"):
        measure(url, ["error"])


def test_failed_requests_are_counted_and_miss_the_latency_target(url: str) -> None:
    run, _ = asyncio.run(send(Server(url, "m"), ["hello", "error"], [0.1 * i for i in range(10)], 10.0))
    assert (run.failed, len(run.e2el_ms), run.sent) == (5, 5, 10)


def test_an_open_loop_sees_the_queue(url: str) -> None:
    """Ten requests at once behind a server of one at a time: the last waits for the nine others."""
    run, _ = asyncio.run(send(Server(url, "m"), ["hello"], [0.0] * 10, 100.0))
    one = (FIRST_S + TOKENS * NEXT_S) * 1000
    assert max(run.e2el_ms) >= 10 * one * 0.95
    assert min(run.e2el_ms) < 4 * one


def test_the_command_line_finds_the_rate(url: str, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("hello\nthere\n")
    command = [sys.executable, "-m", "autoadapt.cli.main", "latency", url, "--model", "m", "--json", "--rate", "12"]
    command += [
        "--prompts",
        str(tmp_path / "prompts.txt"),
        "--latency-p95-ms",
        "300",
        "--requests",
        "30",
        "--seconds",
        "6",
    ]
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["clock"] == "real"
    # 45 ms a request and a little: it cannot be more than 22 a second
    assert 2 < report["requests_per_s"] < 24
    first = report["runs"][0]
    assert first["tpot_percentiles_ms"]["n"] == len(first["e2el_ms"])
    assert first["e2el_percentiles_ms"]["p95"] is None, "30 requests are too few to state it"


def test_the_key_comes_from_the_environment_alone(url: str, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("hello\n")
    command = [sys.executable, "-m", "autoadapt.cli.main", "latency", url, "--model", "m"]
    command += ["--prompts", str(tmp_path / "prompts.txt"), "--key-env", "NO_SUCH_KEY"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60)
    assert run.returncode == 2
    assert "NO_SUCH_KEY" in run.stderr


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("p.txt", "one\n\ntwo\n", ["one", "two"]),
        ("p.jsonl", '{"input": "one"}\n{"prompt": "two"}\n', ["one", "two"]),
    ],
)
def test_prompts_are_read(tmp_path: Path, name: str, text: str, expected: list[str]) -> None:
    (tmp_path / name).write_text(text)
    assert read_prompts(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "text"), [("p.txt", ""), ("p.jsonl", "{no"), ("p.jsonl", "[" * 100_000), ("p.jsonl", '{"a": 1}')]
)
def test_wrong_prompts_are_said_so(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as raised:
        read_prompts(tmp_path / name)
    assert raised.value.code == 3
