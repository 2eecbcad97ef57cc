"""Reading a YAML 1.2 file with the line of every key.

ruamel.yaml refuses duplicate keys and reads ``1e-4`` as a number and ``NO`` as text. Size, aliases and nesting are
bounded while the file is read, so that a hostile file ends in a message and not in exhausted memory.
"""

import difflib
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from autoadapt.errors import UserError
from autoadapt.registry import REFERENCE

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
SECRET = re.compile(r"(sk-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{16,}|AKIA[A-Z0-9]{12,})")


class _RefusedError(Exception):
    """What no settings file needs, and a hostile one may have."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class _BoundedComposer(Composer):
    """Composes nodes once; aliases and deep nesting are refused before they can exhaust memory or the stack."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.parser.check_event(AliasEvent):
            line = self.parser.peek_event().start_mark.line + 1
            raise _RefusedError(line, "aliases (*name) are not used here; write it out")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            line = self.parser.peek_event().start_mark.line + 1
            raise _RefusedError(line, f"nested more than {MAX_DEPTH} levels deep")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def compose_scalar_node(self, anchor: Any) -> Any:
        node = super().compose_scalar_node(anchor)
        if node.value.isascii():
            return node
        try:
            # JSON writes characters such as emoji as two escapes, which are joined here
            node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeError as error:
            line = node.start_mark.line + 1
            raise _RefusedError(line, "half of a character (\\ud800 to \\udfff); write the whole one") from error
        return node


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
            yaml = YAML(typ="safe", pure=True)
            yaml.Composer = _BoundedComposer
            self._root: Node | None = yaml.compose(text)
            self.values: Any = None
            if self._root is not None:
                self.values = YAML(typ="safe", pure=True).constructor.construct_document(self._root)
        except _RefusedError as error:
            raise UserError(f"{path}, line {error.line}: {error}") from error
        except DuplicateKeyError as error:
            raise UserError(_duplicate(path, error)) from error
        except MarkedYAMLError as error:
            raise UserError(_marked(path, error)) from error
        except (YAMLError, ValueError, RecursionError) as error:
            raise UserError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from error
        if not isinstance(self.values, dict):
            content = "is empty" if self.values is None else f"holds a {type(self.values).__name__}"
            raise UserError(f"{path}: {content}; it should hold `key: value` lines (see `autoadapt schema`)")
        if self._root is not None:
            _check_texts(path, self._root)

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
        return _scalars(node)


def scalars_as_written(text: str) -> list[str] | None:
    """The scalars of a list as they are written, like `Document.raw`; None: it is no such list.

    Args:
        text: valid YAML.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _BoundedComposer
    return _scalars(yaml.compose(text))


def _scalars(node: Any) -> list[str] | None:
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


def _check_texts(path: Path, node: Node) -> None:
    """Refuses literal secrets without showing them, and references to environment variables that are not set.

    A reference ``${NAME}`` stays as it is written: `autoadapt.registry.expanded` replaces it where it is used, so that
    no file of a run holds what it stands for.
    """
    if isinstance(node, MappingNode):
        for _, child in node.value:
            _check_texts(path, child)
    elif isinstance(node, SequenceNode):
        for child in node.value:
            _check_texts(path, child)
    elif isinstance(node.value, str):
        line = node.start_mark.line + 1
        if SECRET.search(node.value):
            raise UserError(
                f"{path}, line {line}: looks like a secret; put it into an environment variable, not into a file"
            )
        for name in REFERENCE.findall(node.value):
            if name not in os.environ:
                raise UserError(f"{path}, line {line}: the environment variable {name} is not set")
