"""Writing an entry of the prompt library: a new file, or further results in the file that has its content."""

import contextlib
import fcntl
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from autoadapt.domain.prompt_entry import PromptEntry
from autoadapt.errors import Exit, UserError
from autoadapt.files import why_unwritable, write_atomic
from autoadapt.tasks.parsing import parse
from autoadapt.tasks.prompt_library import StoredEntry, read_folder
from autoadapt.tasks.yaml_document import Document

LONG_LINES = 100_000


def save_entry(entry: PromptEntry, folder: Path) -> tuple[StoredEntry, bool]:
    """Writes an entry with its results; where the folder has its content already, its results are added to that file.

    Args:
        entry: with the results to add.
        folder: made where it is not there.

    Returns:
        What the file holds now, and whether the file is new.

    Raises:
        UserError: a file of the folder is no entry (exit 2), or the folder cannot be written (exit 4).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            known = next((s for s in read_folder(folder) if s.entry.version == entry.version), None)
            if known is None:
                path = folder / f"{entry.id}.yaml"
                path = path if not path.exists() else folder / f"{entry.id}-{entry.version}.yaml"
                write_atomic(path, entry_yaml(entry))
                return StoredEntry(entry, path), True
            return _with_results(known, entry), False
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({why_unwritable(error)})", Exit.ENVIRONMENT) from error


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While entered, no other process saves to the folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _with_results(known: StoredEntry, entry: PromptEntry) -> StoredEntry:
    """Adds results that a file does not have; what else stands in it, comments too, stays."""
    new = [result for result in entry.results if result not in known.entry.results]
    merged = known.entry.model_copy(update={"results": [*known.entry.results, *new]})
    if new:
        yaml = _yaml()
        content = yaml.load(known.path.read_text(encoding="utf-8"))
        plain = [result.model_dump(mode="json") for result in new]
        content["results"] = [*(content.get("results") or []), *plain]
        write_atomic(known.path, _checked(_dumped(yaml, content), merged))
    return StoredEntry(merged, known.path)


def entry_yaml(entry: PromptEntry) -> str:
    """An entry as its file."""
    content = {
        name: LiteralScalarString(value) if name in ("template", "instruction") and value else value
        for name, value in entry.model_dump(mode="json").items()
        if value or name in ("id", "task_type", "template")
    }
    return _checked(_dumped(_yaml(), content), entry)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = LONG_LINES
    yaml.allow_unicode = True
    yaml.preserve_quotes = True
    return yaml


def _dumped(yaml: YAML, content: Any) -> str:
    text = io.StringIO()
    yaml.dump(content, text)
    return text.getvalue()


def _checked(text: str, entry: PromptEntry) -> str:
    """The text of a file if it is read as the entry that it shall hold; else that entry as JSON, which is YAML too."""
    with contextlib.suppress(UserError):
        if parse(Document(Path("entry"), text), PromptEntry) == entry:
            return text
    return entry.model_dump_json(indent=1) + "\n"
