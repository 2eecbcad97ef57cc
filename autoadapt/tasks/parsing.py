"""Building a model from a YAML document, with errors that name file, line, key, the nearest right key and the fix."""

import difflib
from collections.abc import Iterable
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from autoadapt.errors import UserError
from autoadapt.tasks.yaml_document import Document, scalars_as_written

M = TypeVar("M", bound=BaseModel)
KeyPath = tuple[str | int, ...]

LABELS = "data.labels"
"""A list of texts, however they look: 0, 1.0 and 012 are labels."""
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
        key, _, text = override.partition("=")
        if not key or not _:
            raise UserError(f"--set {override}: write it as key.key=value")
        value = parse_value(f"--set {override}", text)
        if key.strip() == LABELS:
            value = scalars_as_written(text) or value
        _set(values, key.strip().split("."), value, override)
        given.append(tuple(key.strip().split(".")))
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [_explain(document, model, e, given) for e in error.errors()[:8]]
        raise UserError("\n".join(dict.fromkeys(lines))) from error


def check(model: type[M], values: Any, where: str) -> M:
    """Builds a model from values that stand in no file.

    Args:
        model: what is built.
        values: plain values.
        where: what they are called in messages.

    Raises:
        UserError: one line per mistake.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = []
        for one in error.errors()[:8]:
            key, message = _message(model, one)
            lines.append(f"{where}: {message}" if key == WHOLE else f"{where}: {key}: {message}")
        raise UserError("\n".join(dict.fromkeys(lines))) from error


def parse_value(where: str, text: str) -> Any:
    """A value as YAML reads it.

    Raises:
        UserError: it is not valid.
    """
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise UserError(f"{where}: the value is not valid YAML") from error


def _set(values: dict[str, Any], keys: list[str], value: Any, override: str) -> None:
    for key in keys[:-1]:
        child = values.setdefault(key, {})
        if not isinstance(child, dict):
            raise UserError(f"--set {override}: '{key}' is a single value, it has no keys below it")
        values = child
    values[keys[-1]] = value


def _explain(document: Document, model: type[BaseModel], error: ErrorDetails, given: list[tuple[str, ...]]) -> str:
    location = _location(error)
    key, message = _message(model, error)
    asked = any(location[: len(g)] == g for g in given)
    where = f"--set {key}" if asked else f"{document.path}, line {document.line(location)}, {key}"
    return f"{where}: {message}"


def _location(error: ErrorDetails) -> KeyPath:
    return tuple(k for k in error["loc"] if not (isinstance(k, str) and ("[" in k or "(" in k or k in _UNION_TAGS)))


def _message(model: type[BaseModel], error: ErrorDetails) -> tuple[str, str]:
    """The key that is wrong, and what is wrong with it."""
    location, kind = _location(error), error["type"]
    key = ".".join(map(str, location)) or WHOLE
    if kind == "extra_forbidden":
        known = _fields(model, location[:-1])
        if (new_name := RENAMED.get(str(location[-1]))) in known:
            return key, f"this key is called '{new_name}' now; rename it"
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        guess = f"did you mean '{near[0]}'? " if near else ""
        return key, f"unknown key; {guess}Known here: {', '.join(known)}"
    if kind == "missing":
        return key, "missing; add it (see `autoadapt schema`)"
    if kind == "is_instance_of":
        return key, f"should be a number, not {error['input']!r:.60}"
    message = error["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    shown = error["input"] if location[-1:] != ("key",) else None  # what stands there may be a secret
    value = f", not {shown!r}" if isinstance(shown, str | int | float | bool) and len(repr(shown)) < 60 else ""
    return key, f"{message}{value}"


WHOLE = "the file"
"""In place of a key where several keys together are wrong."""
_UNION_TAGS = {"int", "float", "str", "Choices", "Range", "bool"}


def _fields(model: type[BaseModel], location: KeyPath) -> list[str]:
    """Names of the keys that may stand at a place."""
    current: Any = model
    for key in location:
        if get_origin(current) in (dict, list):
            current = get_args(current)[-1]
        else:
            info = getattr(current, "model_fields", {}).get(key)
            if info is None:
                break
            current = info.annotation
        models = [a for a in get_args(current) if hasattr(a, "model_fields")]
        if models and get_origin(current) not in (dict, list):  # a union: the model in it
            current = models[0]
    return list(getattr(current, "model_fields", {}))


def to_yaml(model: BaseModel) -> str:
    """A model as YAML, every default written out."""
    import io

    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(model.model_dump(mode="json"), out)
    return out.getvalue()
