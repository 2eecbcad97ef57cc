"""Building a model from a YAML document, with errors that name file, line, key, the nearest right key and the fix."""

import difflib
import math
from collections.abc import Iterable
from typing import Any, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML

from autoadapt.domain.strict import PlacedError
from autoadapt.errors import UserError
from autoadapt.shown_text import fit_to_show, printable
from autoadapt.tasks.yaml_document import Document, as_written, read_yaml

M = TypeVar("M", bound=BaseModel)
KeyPath = tuple[str | int, ...]
Problem = tuple[KeyPath, str]
"""Where a mistake is, and what is wrong there."""

LABELS = "data.labels"
"""A list of texts, however they look: 0, 1.0 and 012 are labels."""
SECRET_KEYS = (("key",), ("storage",))
"""Keys whose wrong values are not shown, because what stands there may be a secret."""
RENAMED = {
    "p95": "latency_p95_ms",
    "max_p95": "latency_p95_ms",
    "promise": "latency_p95_ms",
    "promise_ms": "latency_p95_ms",
}
"""Keys of earlier versions, and what they are called now."""


def parse(document: Document, model: type[M], overrides: Iterable[str] = ()) -> M:
    """Builds the model from a document, after ``a.b=c`` overrides whose values are read as YAML.

    Raises:
        UserError: one line per mistake.
    """
    values, given = document.values, []
    if isinstance(values.get("data"), dict) and (labels := document.raw(("data", "labels"))):
        values["data"] = {**values["data"], "labels": labels}
    for override in overrides:
        key, equals, text = override.partition("=")
        keys = key.strip().split(".")
        if not equals or not all(keys):
            raise UserError(f"--set {override}: write it as key.key=value")
        root, value = _read_value(f"--set {override}", text)
        _set(values, keys, (key.strip() == LABELS and as_written(root)) or value, override)
        given.append(tuple(keys))
    built = _built(model, values)
    if isinstance(built, BaseModel):
        return built
    raise UserError("\n".join(dict.fromkeys(_placed(document, one, given) for one in built[:8])))


def _built(model: type[M], values: Any) -> M | list[Problem]:
    """The model of these values, or what is wrong with them."""
    if extreme := _extreme_numbers(values):
        return extreme
    try:
        return model.model_validate(values)
    except ValidationError as error:
        return [_problem(model, values, one) for one in error.errors()]


def check(model: type[M], values: Any, where: str) -> M:
    """Builds a model from values that stand in no file.

    Args:
        model: what is built.
        values: plain values.
        where: what they are called in messages.

    Raises:
        UserError: one line per mistake.
    """
    built = _built(model, values)
    if isinstance(built, BaseModel):
        return built
    lines = [f"{where}: {_key(keys)}: {message}" if keys else f"{where}: {message}" for keys, message in built[:8]]
    raise UserError("\n".join(dict.fromkeys(lines)))


def parse_value(where: str, text: str) -> Any:
    """A value as YAML reads it.

    Raises:
        UserError: it is not valid.
    """
    return _read_value(where, text)[1]


def _read_value(where: str, text: str) -> tuple[Any, Any]:
    """The node of a value in YAML, and the value."""
    return read_yaml(text, lambda line: where)


def _set(values: dict[str, Any], keys: list[str], value: Any, override: str) -> None:
    for key in keys[:-1]:
        child = values.setdefault(key, {})
        if not isinstance(child, dict):
            raise UserError(f"--set {override}: '{key}' is a single value, it has no keys below it")
        values = child
    values[keys[-1]] = value


def _placed(document: Document, problem: Problem, given: list[tuple[str, ...]]) -> str:
    keys, message = problem
    if any(keys[: len(g)] == g for g in given):
        return f"--set {_key(keys)}: {message}"
    return f"{document.path}, line {document.line(keys)}, {_key(keys)}: {message}"


def _key(keys: KeyPath) -> str:
    """The path of a key in messages; of no key: what is wrong is the whole."""
    return ".".join(str(key) if key != "" else "''" for key in keys) or "the file"


GREATEST = 10**15
"""Of the numbers of a settings file; its products with prices and seconds stay finite."""
DIGITS = 30


def _extreme_numbers(values: Any, keys: KeyPath = ()) -> list[Problem]:
    """Numbers that are too great or too small to be reckoned with."""
    if isinstance(values, dict):
        return [problem for key, value in values.items() for problem in _extreme_numbers(value, (*keys, str(key)))]
    if isinstance(values, list):
        return [problem for i, value in enumerate(values) for problem in _extreme_numbers(value, (*keys, i))]
    if isinstance(values, bool) or not isinstance(values, int | float) or not values:
        return []
    size = abs(values)
    if GREATEST < size < math.inf or size < 1 / GREATEST:
        return [(keys, f"numbers here lie between 1e-15 and 1e15, or are 0; this one is {_shown(values)}")]
    return []


def _shown(value: Any) -> str:
    """A value in a message; a secret in it is not shown."""
    text = str(fit_to_show(repr(value)))
    return text if len(text) <= 60 else f"{text[:DIGITS]}... ({len(text)} characters)"


def _located(values: Any, keys: KeyPath, kind: str) -> KeyPath:
    """The keys of a mistake as they stand in the values; pydantic puts names of types and validators between them."""
    found: list[str | int] = []
    for i, key in enumerate(keys):
        if (isinstance(values, dict) and key in values) or (
            isinstance(values, list) and isinstance(key, int) and key < len(values)
        ):
            values = cast(Any, values)[key]
        elif kind != "missing" or i < len(keys) - 1:
            continue
        found.append(key)
    return tuple(found)


def _problem(model: type[BaseModel], values: Any, error: ErrorDetails) -> Problem:
    """The keys of what is wrong, and what is wrong with it."""
    kind = error["type"]
    keys = _located(values, error["loc"], kind)
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, PlacedError):
        keys = (*keys, *cause.keys)
    if kind == "extra_forbidden":
        known = _fields(model, keys[:-1])
        if (new_name := RENAMED.get(str(keys[-1]))) in known:
            return keys, f"this key is called '{new_name}' now; rename it"
        near = difflib.get_close_matches(str(keys[-1]), known, n=1, cutoff=0.5)
        guess = f"did you mean '{near[0]}'? " if near else ""
        return keys, f"unknown key; {guess}Known here: {', '.join(known)}"
    if kind == "missing":
        return keys, "missing; add it (see `autoadapt schema`)"
    if kind == "is_instance_of":
        return keys, f"should be a number, not {_shown(error['input'])}"
    if kind == "invalid_key":
        return keys, "a key must be text; put it in quotes"
    message = error["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    shown = error["input"] if keys[-1:] not in SECRET_KEYS else None
    value = f", not {_shown(shown)}" if isinstance(shown, str | int | float | bool) else ""
    return keys, f"{message}{value}"


def _fields(model: type[BaseModel], location: KeyPath) -> list[str]:
    """Names of the keys that may stand at a place."""
    current: Any = model
    for key in location:
        if get_origin(current) in (dict, list):
            current = get_args(current)[-1]
        else:
            info = getattr(current, "model_fields", {}).get(key)  # a key with an alias holds a single value
            if info is None:
                break
            current = info.annotation
        models = [a for a in get_args(current) if hasattr(a, "model_fields")]
        if models and get_origin(current) not in (dict, list):  # a union: the model in it
            current = models[0]
    return [info.alias or name for name, info in getattr(current, "model_fields", {}).items()]


def to_yaml(model: BaseModel) -> str:
    """A model as YAML, every default written out."""
    import io

    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(model.model_dump(mode="json"), out)
    if printable(out.getvalue()) != out.getvalue():  # as escapes, or a terminal's ? would take their place
        yaml.allow_unicode = False
        out = io.StringIO()
        yaml.dump(model.model_dump(mode="json"), out)
    return out.getvalue()
