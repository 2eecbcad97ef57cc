"""Servers, URLs, keys and prompts that cannot be used, as `autoadapt latency` is given them."""

import asyncio
from pathlib import Path

import pytest
from conftest import call
from remote_server import serving

from autoadapt.assess.server_load import read_prompts
from autoadapt.errors import UserError
from autoadapt.providers.openai import Server, Streamed


@pytest.mark.parametrize(
    "event",
    [
        '{"choices": [null]}',
        '{"choices": null}',
        '{"choices": {"text": "x"}}',
        '{"choices": ["x"]}',
        '{"choices": [{"delta": "x"}]}',
        '{"choices": [{"delta": null, "text": null}]}',
        "[1]",
        "null",
        "not json",
        "[" * 100_000,
    ],
)
def test_event_without_a_text_is_an_answer_that_failed(event: str) -> None:
    async def asked(address: str) -> Streamed:
        server = Server(address, "m")
        async with server.client() as client:
            return await server.ask(client, "hello")

    with serving(lambda path, body, key: (200, {}, f"data: {event}\n\ndata: [DONE]\n\n")) as http:
        answer = asyncio.run(asked(http.url))
    assert answer.failure is not None
    assert answer.text == ""


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:99999/v1", "Port out of range"),
        ("http://127.0.0.1:x/v1", "cannot be read"),
        ("http://127.0.0.1:0/v1", "has a port or a character that no URL has"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("http://a b/v1", "has a port or a character that no URL has"),
        ("http://a\x1b/v1", "has a port or a character that no URL has"),
        ("http://", "give a URL with http:// or https://"),
        ("ftp://host", "give a URL with http:// or https://"),
        ("http://me:opensesame@host/v1", "name an environment variable that has the key with --key-env"),
    ],
)
def test_bad_url_is_refused_before_a_request(tmp_path: Path, url: str, said: str) -> None:
    (tmp_path / "prompts.txt").write_text("hello\n")
    ended = call("latency", url, "--model", "m", "--prompts", tmp_path / "prompts.txt")
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "opensesame" not in ended.stderr


@pytest.mark.parametrize("key", ["two\nlines", "with space", "schl\u00fcssel"])
def test_key_that_no_request_can_carry_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    (tmp_path / "prompts.txt").write_text("hello\n")
    monkeypatch.setenv("AUTOADAPT_TEST_KEY", key)
    arguments = ("--model", "m", "--prompts", tmp_path / "prompts.txt", "--key-env", "AUTOADAPT_TEST_KEY")
    ended = call("latency", "http://127.0.0.1:1/v1", *arguments)
    assert ended.returncode == 2
    assert "AUTOADAPT_TEST_KEY holds a character that no key has" in ended.stderr
    assert key not in ended.stderr


def test_prompts_that_are_no_regular_file_are_refused() -> None:
    with pytest.raises(UserError, match="not a regular file"):
        read_prompts(Path("/dev/zero"))


def test_error_of_a_server_cannot_steer_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("hello\n")
    with serving(lambda path, body, key: (500, {}, "\x1b[31mred\x1b]0;title\x07")) as http:
        ended = call("latency", http.url, "--model", "m", "--prompts", tmp_path / "prompts.txt")
    assert ended.returncode == 7
    assert "?[31mred" in ended.stderr
    assert "\x1b" not in ended.stderr
