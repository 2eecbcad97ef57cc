"""Answers that are JSON objects: read from a text, compared field by field, and checked against a schema."""

import functools
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from autoadapt.errors import Exit, UserError

DEEPEST = 32
"""Levels of objects and lists in an answer; a deeper one counts as no JSON."""
FENCED = re.compile(r"```(?:json|JSON)?[ \t]*\n(.*?)```", re.DOTALL)


class NotJsonError(ValueError):
    """A text is no JSON value that can be used."""


def read_json(text: str) -> Any:
    """The JSON value that a text is.

    Raises:
        NotJsonError: it is none; or it has NaN or Infinity, which JSON does not have, an object with a key that stands
            twice, so that its value is not certain, or more than 32 levels.
    """
    try:
        value = json.loads(text, parse_constant=_refused_constant, object_pairs_hook=_object)
    except NotJsonError:
        raise
    except RecursionError as error:
        raise NotJsonError(f"more than {DEEPEST} levels") from error
    except ValueError as error:
        raise NotJsonError(str(error)) from error
    if _too_deep(value):
        raise NotJsonError(f"more than {DEEPEST} levels")
    return value


def read_answer(text: str) -> dict[str, Any] | None:
    """The object in a model's answer, which is the whole text or its first fenced block; None: there is none."""
    for candidate in (text, *(match.group(1) for match in FENCED.finditer(text))):
        try:
            value = read_json(candidate)
        except NotJsonError:
            continue
        return value if isinstance(value, dict) else None
    return None


def _refused_constant(name: str) -> Any:
    raise NotJsonError(f"{name} is no JSON value")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise NotJsonError(f"key '{next(name for name in names if names.count(name) > 1)[:80]}' stands twice")
    return made


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def fields_of(answer: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """The fields of an object by name; those of an object within it are named ``OUTER.INNER``.

    A field that is null, or an empty object, is as good as absent.
    """
    fields: dict[str, Any] = {}
    for name, value in answer.items():
        if isinstance(value, dict):
            fields |= fields_of(value, f"{before}{name}.")
        elif value is not None:
            fields[f"{before}{name}"] = value
    return fields


def normal_form(value: Any, ignore_case: bool) -> str:
    """A value as a text by which it is compared: 1 equals 1.0, white space counts as one space, true is no number."""
    if isinstance(value, str):
        text = " ".join(unicodedata.normalize("NFC", value).split())
        return f"text {text.casefold() if ignore_case else text}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, dict):
        return json.dumps({name: normal_form(inner, ignore_case) for name, inner in value.items()}, sort_keys=True)
    if isinstance(value, list):
        return json.dumps([normal_form(inner, ignore_case) for inner in value])
    return json.dumps(value)


class AnswerSchema:
    """A JSON schema that answers shall satisfy.

    Args:
        schema: of an object. References lead to other parts of it alone; nothing is fetched.

    Raises:
        UserError: it is no schema of an object, or the package jsonschema is missing.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = dict(schema)
        self._validator = _validator(json.dumps(self.schema))
        self.fields = tuple(self.schema["properties"])
        """Names of its fields, in its order."""

    def mistake(self, value: Any) -> str | None:
        """The first thing that is wrong with a value; None: it satisfies the schema."""
        try:
            error = next(self._validator.iter_errors(value), None)
        except RecursionError:
            return "it has too many levels"
        except Exception as failed:  # noqa: BLE001 - a reference that leads nowhere shows when it is followed
            return f"the schema cannot be followed ({type(failed).__name__}: {failed})"
        if error is None:
            return None
        where = ".".join(map(str, error.absolute_path))
        message = " ".join(error.message.split())[:200]
        return f"field '{where}': {message}" if where else message

    def text(self) -> str:
        """The schema as prompts show it."""
        return json.dumps(self.schema, ensure_ascii=False)


@functools.lru_cache(maxsize=8)
def _validator(schema: str) -> Any:
    try:
        import jsonschema
        from referencing import Registry
    except ImportError as error:
        raise UserError("a schema needs a package: pip install 'autoadapt[text]'", Exit.ENVIRONMENT) from error
    parsed = json.loads(schema)
    if parsed.get("type") != "object":
        raise UserError('the schema should be that of an object, with "type": "object"')
    kind = jsonschema.validators.validator_for(parsed, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(parsed)
    except jsonschema.exceptions.SchemaError as error:
        where = ".".join(map(str, error.absolute_path)) or "the whole"
        raise UserError(f"no valid JSON schema: {where}: {error.message[:200]}") from error
    if not isinstance(parsed.get("properties"), dict) or not parsed["properties"]:
        raise UserError('the schema names no fields; list them as "properties": {NAME: {"type": "string"}, ...}')
    return kind(parsed, registry=Registry())
