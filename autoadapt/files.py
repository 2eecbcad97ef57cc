"""Files and folders that are whole or absent: write to a temporary name, flush to disk, rename."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from autoadapt.domain.artifact import FileHash
from autoadapt.domain.rows import Row
from autoadapt.errors import Exit, UserError

M = TypeVar("M", bound=BaseModel)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Errors of the operating system that room on the disk, or for a file, or a disk that may be written, would end."""
NO_ROOM_IN_WORDS = ("No space left on device", "Disk quota exceeded", "File too large", "Read-only file system")


def is_full_disk(error: BaseException) -> bool:
    """Whether a disk is full or may not be written; libraries written in Rust say so in words alone."""
    if isinstance(error, OSError):
        return error.errno in NO_ROOM
    return any(words in str(error) for words in NO_ROOM_IN_WORDS)


def home_path(path: str | Path) -> Path:
    """A path with ``~`` and ``~user`` replaced; the home of a user that is not known stays as it is written."""
    return Path(os.path.expanduser(path))


KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class SpecialFileError(OSError):
    """What should be read is no regular file: a pipe may never answer, and a device may never end."""


def require_regular(path: Path) -> None:
    """Refuses to read what is no regular file, nor a link to one.

    Raises:
        SpecialFileError: it is a folder, a pipe or a device.
        OSError: it cannot be looked at.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "no file")
        raise SpecialFileError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, f"it is {kind}", str(path))


def content_of(path: Path) -> bytes:
    """The content of a regular file; see `require_regular`."""
    require_regular(path)
    return path.read_bytes()


def output_target(path: Path) -> Path:
    """Where a file that a user has named for output is written: the path, or what a link at it points to.

    Raises:
        UserError: what is there is no regular file, and would be replaced by one (exit 2); or nothing can be written
            there (exit 4).
    """
    try:
        if not path.name:
            raise UserError(f"{path}: it is a folder; name a file")
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        if target.is_symlink():
            raise UserError(f"{path}: it is a link that leads back to itself; name a regular file")
        mode = target.stat().st_mode if target.exists() else stat.S_IFREG
        if not stat.S_ISREG(mode):
            raise UserError(f"{path}: it is {KINDS.get(stat.S_IFMT(mode), 'no file')}; name a regular file")
        if not target.parent.is_dir():
            raise UserError(f"{path}: cannot be written (there is no folder {target.parent})", Exit.ENVIRONMENT)
    except OSError as error:
        raise _unwritable(path, error) from error
    return target


@contextlib.contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """While entered, a file that a user has named for output is written; gives its `output_target`.

    Raises:
        UserError: as `output_target`; or it could not be written (exit 4).
    """
    target = output_target(path)
    try:
        yield target
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be written ({why_unwritable(error)})", Exit.ENVIRONMENT)


def why_unwritable(error: OSError) -> str:
    """Why a file could not be written, in few words."""
    full = is_full_disk(error) and error.errno != errno.EROFS
    return "there is no room" if full else error.strerror or str(error)


def write_atomic(path: Path, text: str) -> None:
    """Replaces `path` by `text` so that a reader, or a crash, sees the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except IsADirectoryError as error:  # its own message names the temporary file
        raise IsADirectoryError(errno.EISDIR, "a folder is where this file belongs; move it away", str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: BaseModel | Any) -> None:
    """Writes a model, or plain JSON values, atomically."""
    if isinstance(value, BaseModel):
        write_atomic(path, value.model_dump_json(indent=1) + "\n")
    else:
        write_atomic(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def inert(value: Any) -> Any:
    """What goes into a cell of a CSV file: a text that a spreadsheet would run is quoted."""
    return "'" + value if isinstance(value, str) and value[:1] in "=+-@" else value


def read_whole(path: Path, model: type[M]) -> M | None:
    """Reads a file written by `write_json` and touches nothing; None where it is absent or damaged."""
    try:
        return model.model_validate_json(content_of(path))
    except (OSError, ValidationError):
        return None


def read_model(path: Path, model: type[M]) -> M | None:
    """Reads a file written by `write_json`; None where it is absent.

    A damaged file is set aside as ``NAME.corrupt`` and counts as absent, so that its work is done again.
    """
    try:
        return model.model_validate_json(content_of(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (SpecialFileError, ValidationError):
        set_aside(path)
        return None


def set_aside(path: Path) -> None:
    """Renames a damaged file to ``NAME.corrupt``, so that it counts as absent."""
    path.replace(path.with_name(path.name + ".corrupt"))


def read_rows(path: Path, limit: int | None = None) -> list[Row]:
    """The first `limit` rows of a file written by `write_rows` (all by default)."""
    rows: list[Row] = []
    require_regular(path)
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if limit is not None and len(rows) >= limit:
                break
            rows.append(Row.model_validate_json(line))
    return rows


def write_rows(path: Path, rows: list[Row]) -> None:
    """Writes one JSON object per line."""
    write_atomic(path, "".join(row.model_dump_json() + "\n" for row in rows))


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Makes `folder` with what `fill` writes into an empty one; it replaces an older one, and is whole or absent."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        fill(temporary)
        for file in files_below(temporary):
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def files_below(folder: Path) -> list[Path]:
    """Every file in a folder and below it, sorted."""
    return sorted(f for f in folder.rglob("*") if f.is_file())


def hash_files(folder: Path) -> dict[str, FileHash]:
    """Size and SHA-256 of every file of a folder, by its path relative to the folder."""
    return {file.relative_to(folder).as_posix(): _hash(file) for file in files_below(folder)}


def first_difference(folder: Path, files: Mapping[str, FileHash]) -> str | None:
    """The first file of a folder that is absent or differs from its size and hash, and how; None: all are as stated."""
    for name, expected in files.items():
        file = folder / name
        try:
            size = file.stat().st_size
            if size != expected.bytes:
                return f"{name} has {size:,} bytes instead of {expected.bytes:,}"
            if _hash(file).sha256 != expected.sha256:
                return f"the content of {name} was changed (its SHA-256 differs)"
        except OSError:
            return f"{name} is missing or cannot be read"
    return None


def _hash(file: Path) -> FileHash:
    require_regular(file)
    with file.open("rb") as handle:
        return FileHash(bytes=file.stat().st_size, sha256=hashlib.file_digest(handle, "sha256").hexdigest())
