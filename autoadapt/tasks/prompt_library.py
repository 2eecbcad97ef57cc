"""The prompt library: entries that are installed with AutoAdapt, and those of a user's own folders."""

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoadapt.domain.prompt_entry import PromptEntry
from autoadapt.errors import UserError, did_you_mean
from autoadapt.registry import expanded
from autoadapt.tasks.parsing import parse
from autoadapt.tasks.yaml_document import Document

PACKAGE_FOLDER = Path(__file__).parents[1] / "prompts" / "library"
SUFFIXES = (".yaml", ".yml")
MOST_ENTRIES = 1000
"""Files of a folder."""


@dataclass(frozen=True)
class StoredEntry:
    """An entry and its file."""

    entry: PromptEntry
    path: Path

    @property
    def built_in(self) -> bool:
        """Whether it is installed with AutoAdapt."""
        return self.path.parent == PACKAGE_FOLDER


def read_entry(path: Path) -> StoredEntry:
    """One entry.

    Raises:
        UserError: the file cannot be read, or is no entry; the message names line and key.
    """
    return StoredEntry(parse(Document(path), PromptEntry), path)


def entry_files(folder: Path) -> list[Path]:
    """The files of a folder that hold entries, by name.

    Raises:
        UserError: there is no such folder, or it has too many files.
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder}: {'it is a file; name its folder' if folder.is_file() else 'there is no such folder'}"
        )
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and not path.name.startswith("."))
    if len(files) > MOST_ENTRIES:
        raise UserError(f"{folder}: it has {len(files):,} YAML files; a folder of prompts may have {MOST_ENTRIES:,}")
    return files


def read_folder(folder: Path) -> list[StoredEntry]:
    """The entries of a folder, by the names of their files.

    Raises:
        UserError: there is no such folder, or one of its files is no entry.
    """
    return [read_entry(path) for path in entry_files(folder)]


def is_pattern(reference: str) -> bool:
    """Whether a reference stands for every entry whose id matches it."""
    return any(character in reference for character in "*?[")


class PromptLibrary:
    """The entries of AutoAdapt and of some folders. An entry of a folder hides one of AutoAdapt that has its id.

    Args:
        folders: a user's own.

    Raises:
        UserError: a folder is missing, or a file is no entry.
    """

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self.own = [stored for folder in folders for stored in read_folder(folder)]
        """Those of the user's folders."""
        self._built_in = read_folder(PACKAGE_FOLDER)

    @property
    def entries(self) -> list[StoredEntry]:
        """Every entry that is not hidden."""
        own_ids = {stored.entry.id for stored in self.own}
        return [*self.own, *(stored for stored in self._built_in if stored.entry.id not in own_ids)]

    def find(self, reference: str) -> StoredEntry:
        """The entry of an id, or of ``ID@VERSION`` where the version may be shortened.

        Raises:
            UserError: there is none, or there are several versions of it.
        """
        name, _, version = reference.partition("@")
        among = [*self.own, *self._built_in] if version else self.entries
        versions: dict[str, StoredEntry] = {}
        for stored in among:
            if stored.entry.id == name and stored.entry.version.startswith(version):
                versions.setdefault(stored.entry.version, stored)
        if not versions:
            of_id = sorted({stored.entry.version for stored in among if stored.entry.id == name})
            known = f"known versions: {', '.join(of_id)}" if of_id else did_you_mean(name, self._ids)
            raise UserError(f"no prompt called '{reference}': {known}")
        if len(versions) > 1:
            listed = ", ".join(f"{stored.entry.name} ({stored.path})" for stored in versions.values())
            raise UserError(f"'{reference}' is the id of several prompts: name one of {listed}")
        return next(iter(versions.values()))

    def matching(self, pattern: str) -> list[StoredEntry]:
        """The entries whose id matches a pattern, such as ``classify-*``.

        Raises:
            UserError: there is none.
        """
        found = [stored for stored in self.entries if fnmatch.fnmatchcase(stored.entry.id, pattern)]
        if not found:
            raise UserError(f"no prompt has an id like '{pattern}': {did_you_mean(pattern, self._ids)}")
        return found

    @property
    def _ids(self) -> set[str]:
        return {stored.entry.id for stored in self.entries}


def folders_of(names: Sequence[str], base: Path) -> list[Path]:
    """Folders as a task names them.

    Args:
        names: paths, relative to `base`.
        base: folder of the task file.
    """
    return [(base / str(expanded(name))).expanduser() for name in names]
