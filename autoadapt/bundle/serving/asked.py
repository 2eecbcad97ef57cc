"""What a request asks: the JSON bodies of ``/predict`` and of OpenAI's chat interface, read and checked."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autoadapt.bundle.description import BundleDescription
from autoadapt.bundle.loaded import Input

MOST_INPUTS = 256
"""Of one request."""


class RefusedError(Exception):
    """A request that is not answered.

    Args:
        status: of HTTP.
        message: what is wrong with it and what to send.
        headers: of the response.
    """

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}


@dataclass(frozen=True)
class Chat:
    """A request to the chat interface."""

    input: Input
    stream: bool
    usage: bool
    """Whether a stream ends with what it has used."""


def read_json(body: bytes) -> dict[str, Any]:
    """The object that a body holds.

    Raises:
        RefusedError: it holds none.
    """
    try:
        found = json.loads(body)
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise RefusedError(400, "the body holds half of a surrogate pair, which is no text") from error
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"the body is not valid JSON ({error})") from error
    if not isinstance(found, dict):
        raise RefusedError(400, f'the body is a {type(found).__name__}; send an object, such as {{"input": "..."}}')
    return found


def read_inputs(body: dict[str, Any]) -> tuple[list[Input], bool]:
    """The inputs of a request to ``/predict``, and whether they came as a list.

    Raises:
        RefusedError: there are none, or too many.
    """
    others = sorted({*body} - {"input", "inputs"})
    if others:
        raise RefusedError(400, f"'{others[0]}' is not known; send 'input' or 'inputs'")
    if ("input" in body) == ("inputs" in body):
        raise RefusedError(400, "send one of 'input' (a text, or an object of columns) and 'inputs' (a list of these)")
    several = "inputs" in body
    inputs = body["inputs"] if several else [body["input"]]
    if not isinstance(inputs, list) or not inputs:
        raise RefusedError(400, "'inputs' must be a list of at least one text or object of columns")
    if len(inputs) > MOST_INPUTS:
        raise RefusedError(413, f"{len(inputs):,} inputs; send at most {MOST_INPUTS} in one request")
    for number, one in enumerate(inputs):
        if not isinstance(one, str | dict):
            where = f"inputs[{number}]" if several else "input"
            raise RefusedError(400, f"'{where}' must be a text or an object of columns, not {_kind(one)}")
    return inputs, several


def read_chat(body: dict[str, Any], description: BundleDescription) -> Chat:
    """A request to the chat interface: one message by the user, which is the option's input.

    The prompt is part of the option, so that a message by the system or an example has no place. Sampling settings are
    ignored, because the option's decoding is part of it too.

    Raises:
        RefusedError: it is of another form, or asks for another model.
    """
    model, messages = body.get("model", description.task), body.get("messages", [])
    if model != description.task:
        raise RefusedError(404, f"there is no model '{model}' here; it is called '{description.task}'")
    if body.get("n", 1) != 1:
        raise RefusedError(400, "'n' must be 1: the option gives one answer")
    if not _one_by_the_user(messages):
        raise RefusedError(
            400, "'messages' must hold one message by the user and nothing else: the prompt is part of the option"
        )
    options = body.get("stream_options")
    usage = isinstance(options, dict) and bool(options.get("include_usage"))
    columns = description.columns.input
    return Chat(_chat_input(_content(messages[0]["content"]), columns), bool(body.get("stream")), usage)


def _one_by_the_user(messages: Any) -> bool:
    if not isinstance(messages, list) or len(messages) != 1 or not isinstance(messages[0], dict):
        return False
    return messages[0].get("role") == "user" and "content" in messages[0]


def _content(content: object) -> str:
    """The text of a message, which may come in parts."""
    if isinstance(content, list):
        parts = [
            part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in content
        ]
        if all(isinstance(part, str) for part in parts):
            content = "".join(str(part) for part in parts)
    if not isinstance(content, str):
        raise RefusedError(400, "'content' of the message must be a text")
    return content


def _chat_input(content: str, columns: Sequence[str]) -> Input:
    if len(columns) == 1:
        return content
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RefusedError(
            400, f"the option reads several columns: send an object of {', '.join(columns)} as JSON text"
        )
    return found


def _kind(value: object) -> str:
    return {bool: "true or false", int: "a number", float: "a number", list: "a list", type(None): "null"}[type(value)]
