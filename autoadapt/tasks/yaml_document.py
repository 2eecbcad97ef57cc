"""Reading a YAML 1.2 file with the line of every key.

ruamel.yaml refuses duplicate keys and reads ``1e-4`` as a number and ``NO`` as text. Size, aliases and nesting are
bounded while the file is read, so that a hostile file ends in a message and not in exhausted memory.
"""

import contextlib
import difflib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
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
from autoadapt.shown_text import SECRET

MAX_BYTES = 500_000
MAX_DEPTH = 20
MAX_NODES = 10_000
"""Keys, values and containers of a file: each takes some 40 us to read."""
Where = Callable[[int | None], str]
"""What messages call a line of a text; None: the whole."""


class _RefusedError(Exception):
    """What no settings file needs, and a hostile one may have."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class _BoundedComposer(Composer):
    """Composes nodes once; what could exhaust memory, time or the stack is refused before it does."""

    _depth = 0
    _nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _RefusedError(line, "anchors (&name) and aliases (*name) are not used here; write it out")
        self._depth += 1
        self._nodes += 1
        if self._depth > MAX_DEPTH:
            raise _RefusedError(line, f"nested more than {MAX_DEPTH} levels deep; write it flatter")
        if self._nodes > MAX_NODES:
            raise _RefusedError(line, f"more than {MAX_NODES:,} keys and values, which no settings file needs")
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
        self._root, self.values = read_yaml(
            read_text(path) if text is None else text,
            lambda line: str(path) if line is None else f"{path}, line {line}",
        )
        if not isinstance(self.values, dict):
            content = "is empty" if self.values is None else f"holds one value ({type(self.values).__name__})"
            content = "holds a list" if isinstance(self.values, list) else content
            raise UserError(f"{path}: {content}; it should hold `key: value` lines (see `autoadapt schema`)")

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
        return as_written(node)


def as_written(node: Any) -> list[str] | None:
    """The scalars of a list as they are written; None: it is no such list."""
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


def read_yaml(text: str, where: Where) -> tuple[Node | None, Any]:
    """The nodes of a YAML text, None where it is empty, and its values.

    Args:
        text: of a file or of one value.
        where: what its lines are called in messages.

    Raises:
        UserError: it is no YAML, holds what no settings need, a secret, or a reference to a variable that is not set.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _BoundedComposer
    root: Node | None = None
    try:
        root = yaml.compose(text)
        if root is None:
            return None, None
        _check_texts(where, root)
        return root, YAML(typ="safe", pure=True).constructor.construct_document(root)
    except _RefusedError as error:
        raise UserError(f"{where(error.line)}: {error}") from error
    except DuplicateKeyError as error:
        raise UserError(_duplicate(where, error, root)) from error
    except MarkedYAMLError as error:
        raise UserError(_marked(where, error)) from error
    except (YAMLError, ValueError, RecursionError) as error:
        line = None if root is None else _unreadable_line(root)
        reason = str(error).splitlines()[0]
        raise UserError(f"{where(line)}: not valid YAML: {reason}; put a text in quotes") from error


def _unreadable_line(root: Node) -> int | None:
    """The line of the first scalar that has the form of a date or a number and is none."""
    constructor = YAML(typ="safe", pure=True).constructor
    for node in _scalars(root):
        try:
            constructor.construct_document(node)
        except ValueError:
            return int(node.start_mark.line) + 1
    return None


def _scalars(node: Node) -> Iterator[ScalarNode]:
    """Every scalar, keys too, in the order of the text."""
    if isinstance(node, ScalarNode):
        yield node
    elif isinstance(node, MappingNode):
        for pair in node.value:
            for child in pair:
                yield from _scalars(child)
    elif isinstance(node, SequenceNode):
        for child in node.value:
            yield from _scalars(child)


def _duplicate(where: Where, error: DuplicateKeyError, root: Node | None) -> str:
    mark = error.problem_mark
    for block in [] if root is None or mark is None else _mappings(root):
        lines: dict[str, int] = {}
        for key, _ in block.value:
            begins = key.start_mark
            if (begins.line, begins.column) == (mark.line, mark.column) and str(key.value) in lines:
                first = lines[str(key.value)] + 1
                return f"{where(mark.line + 1)}: '{key.value}' is given twice, first in line {first}; keep one"
            lines.setdefault(str(key.value), begins.line)
    return f"{where(mark.line + 1 if mark else None)}: a key is given twice; keep one"


def _mappings(node: Node) -> Iterator[MappingNode]:
    """Every block of keys, the outer ones first."""
    if isinstance(node, MappingNode):
        yield node
    for child in node.value if isinstance(node, MappingNode | SequenceNode) else ():
        yield from _mappings(child[1] if isinstance(child, tuple) else child)


def _marked(where: Where, error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    problem = str(error.problem or error.context or error)
    hint = " (indent with spaces, not tabs)" if "\\t" in problem else ""
    if "could not determine a constructor" in problem:
        problem = "tags (!name) are not used here"
    return f"{where(mark.line + 1 if mark else None)}: not valid YAML: {problem}{hint}"


def _check_texts(where: Where, root: Node) -> None:
    """Refuses literal secrets without showing them, and references to environment variables that are not set.

    A reference ``${NAME}`` stays as it is written: `autoadapt.registry.expanded` replaces it where it is used, so that
    no file of a run holds what it stands for.
    """
    for node in _scalars(root):
        text, line = str(node.value), node.start_mark.line + 1
        if SECRET.search(text):
            raise UserError(f"{where(line)}: looks like a secret; put it into an environment variable, not into a file")
        for name in REFERENCE.findall(text):
            if name not in os.environ:
                raise UserError(f"{where(line)}: the environment variable {name} is not set; set it, or write a value")


@contextlib.contextmanager
def at(document: Document, *keys: str | int) -> Iterator[None]:
    """Says of errors within it at which key of a document they are.

    Args:
        document: that is wrong.
        keys: path to the key.
    """
    try:
        yield
    except UserError as error:
        where = f"{document.path}, line {document.line(keys)}, {'.'.join(map(str, keys))}"
        raise UserError(f"{where}: {error}", error.code) from error
    except OSError as error:
        where = f"{document.path}, line {document.line(keys)}, {'.'.join(map(str, keys))}"
        raise UserError(f"{where}: {error.filename or 'a file'}: {error.strerror or error}") from error
