"""Mutations that fuzzers share: of documents (what JSON and YAML can say), of bytes, and of command lines."""

import copy
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from autoadapt.shelves import EXECUTORS, FAMILIES, METHODS, METRICS, OBJECTIVES, SAMPLERS, SELECTORS

NUMBERS: tuple[Any, ...] = (0, 1, -1, 2, 0.5, -0.0, 1e-320, 1e308, -1e308, 2**31, 2**63, -(2**63), 10**30, 10**400)
NUMBERS = (*NUMBERS, math.nan, math.inf, -math.inf, True, False)
TEXTS = (
    "",
    " ",
    ".",
    "..",
    "/",
    "~",
    "-",
    "--",
    "0",
    "no",
    "null",
    "nan",
    "1e400",
    "10k",
    "-1",
    "0x10",
    "1_000",
    "2026-02-30",
    "a\0b",
    "line\nbreak\r",
    "\ud800",
    "\udcff",
    "caf\u00e9",
    "cafe\u0301",
    "\U0001f600\u200d",
    "\u202eturned",
    "\ufeff",
    "\u0660\u0661",
    "\x1b[31mred\x07",
    "x" * 5000,
    "9" * 5000,
    "../../etc/passwd",
    "/dev/null",
    "/dev/zero",
    "/proc/self/mem",
    "a/b",
    "owner/name",
    "http://[::1",
    "sqlite:///x?y#z%",
    "${HOME}",
    "${NO_SUCH_NAME}",
    "hf_" + "a" * 30,
    "{{ 7*7 }}",
    "{% for",
    "{{ input * 10 ** 9 }}",
    "[31m[bold]x[/]",
    "%s%n{0}",
    "=cmd()",
    "key: [",
    "!!python/name:os.system",
    "&a *a",
    "scripted",
    "classical",
    "accuracy",
    "prompt",
    "joint",
    "task.yaml",
    "space.yaml",
    "data.jsonl",
    "data",
)
DEEP: Any = []
for _ in range(30):
    DEEP = [DEEP]
STRUCTURES: tuple[Any, ...] = (None, [], {}, [None], [[]], [{}], {"": 1}, {"a.b": {"c[0]": 1}}, DEEP, [0] * 3000)

SCENARIOS: dict[str, Any] = {
    "version": 1,
    "scenarios": {
        "small": {
            "volume": {"low": 500, "likely": "3k", "high": 20000},
            "price": 0.1,
            "hosting": "scale_to_zero",
            "cold_s": 20,
        },
        "large": {
            "volume": "10M",
            "price": {"low": 0.08, "likely": 0.1, "high": 0.15},
            "hosting": "always_on",
            "headroom": 0.3,
        },
        "own": {"volume": 5e4, "owned": {"kilowatts": 0.015, "usd_per_kwh": 0.3}, "memory_mb": 1500, "peak_factor": 3},
    },
}
"""A scenarios file as it should be."""


SHELVES = (EXECUTORS, FAMILIES, METHODS, METRICS, OBJECTIVES, SAMPLERS, SELECTORS)
NAMES = sorted({name for shelf in SHELVES for name in shelf.names()})
"""Names of plug-ins: each is right in some place."""
NAMES += [
    "label",
    "text",
    "auto",
    "per_use",
    "always_on",
    "scale_to_zero",
    "shared",
    "chat",
    "quick",
    "10k",
    "classical",
]


def numbers() -> st.SearchStrategy[Any]:
    """Extreme and arbitrary numbers, truth values among them."""
    return st.sampled_from(NUMBERS) | st.integers() | st.floats()


def texts() -> st.SearchStrategy[str]:
    """Hostile and arbitrary texts, halves of surrogate pairs among them."""
    return st.sampled_from(TEXTS) | st.text(st.characters(), max_size=20)


def values() -> st.SearchStrategy[Any]:
    """Anything that a value may wrongly be."""
    return numbers() | texts() | st.sampled_from(STRUCTURES) | st.lists(numbers() | texts(), max_size=3)


@st.composite
def mutated(draw: st.DrawFn, document: Any, keys: Sequence[str] = (), most: int = 3) -> Any:
    """The document with one to `most` changes, each at any depth.

    Args:
        draw: of Hypothesis.
        document: dicts, lists and scalars; it is left as it is.
        keys: names that may be added, in addition to those of the document.
        most: changes.
    """
    box = {"": copy.deepcopy(document)}
    for _ in range(draw(st.sampled_from([1, 1, 1, *range(1, most + 1)]))):
        places = _places(box)
        if not places:
            break
        number = draw(st.integers(0, len(places) - 1))
        draw(st.sampled_from(CHANGES))(draw, *places[number], [*keys, *_keys(box)])
    return next(iter(box.values()), None)


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Every container with every key or index of it."""
    found: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting and len(found) < 3000:
        container = waiting.pop()
        keys = list(container) if isinstance(container, dict) else range(len(container))
        found += [(container, key) for key in keys]
        waiting += [container[key] for key in keys if isinstance(container[key], dict | list)]
    return found


def _keys(document: Any) -> list[str]:
    return sorted({key for container, key in _places(document) if isinstance(key, str) and key})


def _replace(draw: st.DrawFn, container: Any, key: Any, keys: Sequence[str]) -> None:
    container[key] = draw(values())


def _near(draw: st.DrawFn, container: Any, key: Any, keys: Sequence[str]) -> None:
    """Replaces a scalar by another of its kind, or by one that is nearly right."""
    value = container[key]
    if isinstance(value, bool) or value is None:
        container[key] = draw(st.sampled_from([not value, not value, str(value), int(bool(value))]))
    elif isinstance(value, int | float) and abs(value) < 1e300:
        whole = [-value, value + 1, value * 2, value * 1000, value * 10**9, 0, 1, str(value), [value]]
        container[key] = draw(st.sampled_from([*whole, value + 0.5, value / 1000, 0.5, 1e-9]))
    elif isinstance(value, str):
        more = draw(texts())
        wrong = [value + more, more + value, value[:-1], value.upper(), [value], {value: more}, more]
        container[key] = draw(st.sampled_from(wrong) | st.sampled_from([*NAMES, *keys]))
    else:
        container[key] = draw(values())


def _drop(draw: st.DrawFn, container: Any, key: Any, keys: Sequence[str]) -> None:
    del container[key]


def _wrap(draw: st.DrawFn, container: Any, key: Any, keys: Sequence[str]) -> None:
    value = container[key]
    container[key] = draw(st.sampled_from([[value], {"x": value}, [value, value], str(value)[:200], [[[value]]]]))


def _add(draw: st.DrawFn, container: Any, key: Any, keys: Sequence[str]) -> None:
    """Adds a key that some other place knows, or a hostile one; to a list, a value."""
    if isinstance(container, dict):
        new = draw(st.sampled_from(keys) if keys and draw(st.booleans()) else texts())
        container[new] = draw(values() | st.just(container[key]))
    else:
        container.insert(key, draw(values()))


def _rename(draw: st.DrawFn, container: Any, key: Any, keys: Sequence[str]) -> None:
    if isinstance(container, dict):
        container[draw(texts())] = container.pop(key)
    else:
        container.append(container[key])


def _move(draw: st.DrawFn, container: Any, key: Any, keys: Sequence[str]) -> None:
    """Puts there what stands beside it."""
    others = list(container) if isinstance(container, dict) else range(len(container))
    container[key] = copy.deepcopy(container[draw(st.sampled_from(others))])


Change = Callable[[st.DrawFn, Any, Any, Sequence[str]], None]
CHANGES: tuple[Change, ...] = (
    _replace,
    _near,
    _near,
    _near,
    _near,
    _near,
    _drop,
    _drop,
    _wrap,
    _add,
    _add,
    _rename,
    _move,
    _move,
)


def as_yaml(value: Any) -> str:
    """A document as YAML in its flow form; every text is quoted, every number a number."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {as_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_yaml, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return json.dumps(value)


def yaml_lines(document: Any) -> str:
    """The same with one line for each key of a mapping at the top."""
    if not isinstance(document, dict) or not document:
        return as_yaml(document) + "\n"
    return "".join(f"{json.dumps(str(key))}: {as_yaml(value)}\n" for key, value in document.items())


SNIPPETS = (b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r", b"\n", b"\t", b'"', b"'", b"[" * 3000)
SNIPPETS = (
    *SNIPPETS,
    b"{" * 30,
    b"{}",
    b"null",
    b"NaN",
    b"1e999",
    b"9" * 5000,
    b"\\ud800",
    b"&a *a",
    b": ",
    b",,,",
    b"\x1b[31m",
)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes with one to three changes: parts cut off, cut out, repeated, inserted, flipped, or all of them in other code."""
    for _ in range(draw(st.integers(1, 3))):
        begin, end = sorted((draw(st.integers(0, len(content))), draw(st.integers(0, len(content)))))
        part = content[begin:end]
        more = draw(st.sampled_from(SNIPPETS) | st.binary(max_size=8))
        content = draw(
            st.sampled_from(
                [
                    content[:begin],
                    content[begin:],
                    content[:begin] + content[end:],
                    content[:end] + part + content[end:],
                    content[:begin] + more + content[begin:],
                    content[:begin] + more + content[end:],
                    content[:begin] + bytes(byte ^ 0x20 for byte in part) + content[end:],
                    content[:begin] + bytes(reversed(part)) + content[end:],
                    content[:begin] + bytes(len(part)) + content[end:],
                    content.replace(b"\n", b"\r\n"),
                    content.decode("latin-1").encode("utf-16"),
                    more,
                ]
            )
        )
    return content
