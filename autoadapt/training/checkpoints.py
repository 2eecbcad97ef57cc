"""Folders that are whole or absent: written under a temporary name, fsynced, marked COMPLETE, renamed.

The mark lists every file with size and SHA-256, so that a truncated or damaged folder is seen and passed over.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

MARK = "COMPLETE.json"


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Makes `folder` with what `fill` writes into an empty one; replaces an older one."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        fill(temporary)
        files = {}
        for file in sorted(f for f in temporary.rglob("*") if f.is_file()):
            with file.open("rb") as handle:
                digest = hashlib.file_digest(handle, "sha256").hexdigest()
                os.fsync(handle.fileno())
            files[str(file.relative_to(temporary))] = {"bytes": file.stat().st_size, "sha256": digest}
        with (temporary / MARK).open("w") as handle:
            json.dump(files, handle, indent=1)
            handle.flush()
            os.fsync(handle.fileno())
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def is_complete(folder: Path) -> bool:
    """Whether the folder has its mark and every file is as the mark says."""
    try:
        files = json.loads((folder / MARK).read_text())
        for name, told in files.items():
            file = folder / name
            if file.stat().st_size != told["bytes"]:
                return False
            with file.open("rb") as handle:
                if hashlib.file_digest(handle, "sha256").hexdigest() != told["sha256"]:
                    return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return True


def latest(parent: Path) -> Path | None:
    """The newest complete ``checkpoint-N`` of a folder; a damaged one is passed over for the one before it."""
    for folder in sorted(parent.glob("checkpoint-*"), reverse=True):
        if is_complete(folder):
            return folder
        print(f"checkpoint {folder.name} is incomplete or damaged: passed over")  # noqa: T201 - the trial's log
    return None


def keep_newest(parent: Path, count: int) -> None:
    """Deletes all checkpoints but the newest `count`."""
    for folder in sorted(parent.glob("checkpoint-*"), reverse=True)[count:]:
        shutil.rmtree(folder, ignore_errors=True)
