"""Checkpoints: folders that are whole or absent, with a file COMPLETE.json written last.

It lists every other file with size and SHA-256, so that a truncated or damaged checkpoint is recognised and passed
over.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import RootModel

from autoadapt.domain.artifact import FileHash
from autoadapt.files import first_difference, hash_files, read_whole, write_folder, write_json

MARK = "COMPLETE.json"


class _Mark(RootModel[dict[str, FileHash]]):
    """Content of COMPLETE.json."""


def write(folder: Path, fill: Callable[[Path], None]) -> None:
    """Makes a checkpoint with what `fill` writes into an empty folder; replaces an older one of that name."""

    def fill_and_mark(target: Path) -> None:
        fill(target)
        write_json(target / MARK, _Mark(hash_files(target)))

    write_folder(folder, fill_and_mark)


def is_complete(folder: Path) -> bool:
    """Whether the folder has its mark, which names files, and every file is as it says."""
    mark = read_whole(folder / MARK, _Mark)
    return mark is not None and mark.root != {} and first_difference(folder, mark.root) is None


def latest(parent: Path) -> Path | None:
    """The newest complete ``checkpoint-N`` of a folder; a damaged one is passed over for the one before it."""
    for folder in sorted(parent.glob("checkpoint-*"), reverse=True):
        if is_complete(folder):
            return folder
        print(f"checkpoint {folder.name} is incomplete or damaged and is skipped")  # noqa: T201 - the trial's log
    return None


def keep_newest(parent: Path, count: int) -> None:
    """Deletes all checkpoints but the newest `count`."""
    for folder in sorted(parent.glob("checkpoint-*"), reverse=True)[count:]:
        shutil.rmtree(folder, ignore_errors=True)
