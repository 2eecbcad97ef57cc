"""Reading YAML 1.2 into a model, with errors that name file, line, key, the nearest right key and the fix.

ruamel.yaml refuses duplicate keys and reads ``1e-4`` as a number and ``NO`` as text. Before anything is built, size,
aliases and nesting are looked at, so that a hostile file ends in a message and not in exhausted memory.
"""

import difflib
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from autoadapt.errors import UserError

M = TypeVar("M", bound=BaseModel)
Path_ = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
SECRET = re.compile(r"(sk-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{16,}|AKIA[A-Z0-9]{12,})")
REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Document:
    """A YAML file's values with the line of every key.

    Args:
        path: the file.
        text: its content where it is known; then the path is only what messages call it.

    Raises:
        UserError: it cannot be read; the message says where and why.
    """

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        text = read_text(path) if text is None else text
        try:
            _look_before_reading(path, text)
            yaml = YAML(typ="safe", pure=True)
            self._root: Node | None = yaml.compose(text)
            self.values: Any = YAML(typ="safe", pure=True).load(text)
        except DuplicateKeyError as error:
            raise UserError(_duplicate(path, error)) from error
        except MarkedYAMLError as error:
            raise UserError(_marked(path, error)) from error
        except (YAMLError, ValueError, RecursionError) as error:
            raise UserError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from error
        if not isinstance(self.values, dict):
            found = "is empty" if self.values is None else f"holds a {type(self.values).__name__}"
            raise UserError(f"{path}: {found}; it should hold `key: value` lines (see `autoadapt schema`)")
        if self._root is not None:
            self.values = _with_references(path, self._root, self.values)

    def line(self, keys: Iterable[str | int]) -> int:
        """The line of a key path, or of its nearest parent that is written."""
        node, line = self._root, 1
        for key in keys:
            if isinstance(node, MappingNode):
                pair = next(((k, v) for k, v in node.value if k.value == str(key)), None)
                if pair is None:
                    break
                line, node = pair[0].start_mark.line + 1, pair[1]
            elif isinstance(node, SequenceNode) and isinstance(key, int) and key < len(node.value):
                node = node.value[key]
                line = node.start_mark.line + 1
            else:
                break
        return line

    def raw(self, keys: Iterable[str | int]) -> list[str] | None:
        """The scalars of a list as they are written (labels such as 1.0 or 012 stay text)."""
        node: Any = self._root
        for key in keys:
            if not isinstance(node, MappingNode):
                return None
            node = next((v for k, v in node.value if k.value == str(key)), None)
        if not isinstance(node, SequenceNode) or not all(isinstance(i, ScalarNode) for i in node.value):
            return None
        return [str(i.value) for i in node.value]


def read_text(path: Path) -> str:
    """A regular file's text: UTF-8, a byte-order mark and CRLF allowed.

    Raises:
        UserError: missing, no regular file, too large, or not UTF-8.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [p.name for p in _siblings(path)], n=1)
        hint = f" (did you mean {path.with_name(near[0])}?)" if near else ""
        raise UserError(f"{path}: no such file{hint}") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise UserError(f"{path}: not a regular file")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path}: larger than {MAX_BYTES:,} bytes, which no settings file should be")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error


def _siblings(path: Path) -> list[Path]:
    try:
        return list(path.parent.iterdir())[:1000]
    except OSError:
        return []


def _look_before_reading(path: Path, text: str) -> None:
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        if isinstance(event, AliasEvent):
            raise UserError(
                f"{path}, line {event.start_mark.line + 1}: aliases (*name) are not used here; write it out"
            )
        if isinstance(event, CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise UserError(f"{path}, line {event.start_mark.line + 1}: nested more than {MAX_DEPTH} levels deep")
        elif isinstance(event, CollectionEndEvent):
            depth -= 1


def _duplicate(path: Path, error: DuplicateKeyError) -> str:
    key = re.search(r'found duplicate key "?([^"\s]+)"?', str(error.problem))
    first = error.context_mark.line + 1 if error.context_mark else "?"
    second = error.problem_mark.line + 1 if error.problem_mark else "?"
    named = f"'{key.group(1)}'" if key else "a key"
    return f"{path}, line {second}: {named} is given twice in the block that begins at line {first}; keep one"


def _marked(path: Path, error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f", line {mark.line + 1}" if mark else ""
    problem = str(error.problem or error.context or error)
    hint = " (indent with spaces, not tabs)" if "\\t" in problem else ""
    if "could not determine a constructor" in problem:
        problem = "tags (!name) are not used here"
    return f"{path}{where}: not valid YAML: {problem}{hint}"


def _with_references(path: Path, node: Node, value: Any) -> Any:
    """Values with ${NAME} replaced from the environment; literal secrets are refused and not shown."""
    if isinstance(node, MappingNode) and isinstance(value, dict):
        return {
            key: _with_references(path, child, item)
            for (_, child), (key, item) in zip(node.value, value.items(), strict=True)
        }
    if isinstance(node, SequenceNode) and isinstance(value, list):
        return [_with_references(path, child, item) for child, item in zip(node.value, value, strict=True)]
    if not isinstance(value, str):
        return value
    line = node.start_mark.line + 1
    if SECRET.search(value):
        raise UserError(
            f"{path}, line {line}: looks like a secret; put it into an environment variable, not into a file"
        )

    def lookup(match: re.Match[str]) -> str:
        found = os.environ.get(match.group(1))
        if found is None:
            raise UserError(f"{path}, line {line}: environment variable {match.group(1)} is not set")
        return found

    return REFERENCE.sub(lookup, value)


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
        _set(values, key.strip().split("."), parse_value(f"--set {override}", text), override)
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
            lines.append(f"{where}: {key}: {message}")
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


def _location(error: ErrorDetails) -> Path_:
    return tuple(k for k in error["loc"] if not (isinstance(k, str) and ("[" in k or "(" in k or k in _UNION_TAGS)))


def _message(model: type[BaseModel], error: ErrorDetails) -> tuple[str, str]:
    """The key that is wrong, and what is wrong with it."""
    location, kind = _location(error), error["type"]
    key = ".".join(map(str, location)) or "the file"
    if kind == "extra_forbidden":
        known = _fields(model, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        guess = f"did you mean '{near[0]}'? " if near else ""
        return key, f"unknown key; {guess}Known here: {', '.join(known)}"
    if kind == "missing":
        return key, "missing; add it (see `autoadapt schema`)"
    if kind == "is_instance_of":
        return key, f"should be a number, not {error['input']!r:.60}"
    message = error["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    shown = error["input"]
    value = f", not {shown!r}" if isinstance(shown, str | int | float | bool) and len(repr(shown)) < 60 else ""
    return key, f"{message}{value}"


_UNION_TAGS = {"int", "float", "str", "Choices", "Range", "bool"}


def _fields(model: type[BaseModel], location: Path_) -> list[str]:
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


def dump(model: BaseModel) -> str:
    """A model as YAML, every default written out."""
    import io

    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(model.model_dump(mode="json"), out)
    return out.getvalue()
