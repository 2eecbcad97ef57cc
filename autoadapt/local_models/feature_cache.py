"""Features of the training rows, computed once in a run for every way to read them, and shared by all its trials.

A file holds the features of the whole training split with the seconds that computing each took, so that a fit costs the
same whether its features were there already or not. Files are named by the content of weights and texts, written whole
by rename, and carry a hash of what they hold: a damaged one is computed again. A worker that needs what another one
is computing waits for it.
"""

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from autoadapt.errors import UserError

WAIT_SECONDS = 0.2
PART_SECONDS = 5.0
"""Of computing, which a job that is killed loses at most."""
MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")


@dataclass(frozen=True)
class CachedFeatures:
    """Features of texts and what computing them took."""

    texts: NDArray[np.int64]
    """Which texts of a split, counted from 0."""
    vectors: NDArray[np.float32]
    """Shape (texts, width)."""
    seconds: NDArray[np.float64]
    """For each text, its share of its batch."""
    tokens: NDArray[np.int64]
    """Of each text."""

    def first(self, count: int) -> "CachedFeatures":
        """Those of the first texts."""
        return CachedFeatures(**{name: array[:count] for name, array in vars(self).items()})

    def followed_by(self, other: "CachedFeatures") -> "CachedFeatures":
        """Those of both, as of one list of texts."""
        behind = dataclasses.replace(other, texts=other.texts + len(self.texts))
        return joined([self, behind])


ARRAYS = tuple(field.name for field in dataclasses.fields(CachedFeatures))
"""Of a file."""
Compute = Callable[[frozenset[int]], Iterator[CachedFeatures]]
"""Computes features batch by batch, but not those of the texts that it is given."""


def cache_file(folder: Path, described: Mapping[str, Any]) -> Path:
    """Where features are kept.

    Args:
        folder: of the cache.
        described: all that decides them, as JSON values.
    """
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    return folder / f"{digest[:32]}.safetensors"


def features_of(file: Path, compute: Compute, tick: Callable[[], None]) -> CachedFeatures:
    """The features that a file holds; computed, and written for the others, where it is absent or damaged.

    What has been computed is kept in parts meanwhile, so that a job that is cut short leaves its features to the next.

    Args:
        file: of `cache_file`.
        compute: computes them.
        tick: called while another worker computes them.

    Raises:
        UserError: there are no texts.
    """
    cached = _read(file)
    if cached is not None:
        return cached
    file.parent.mkdir(parents=True, exist_ok=True)
    with _alone(file.with_suffix(".lock"), tick):
        cached = _read(file)
        if cached is None:
            cached = _whole(file, compute)
    return cached


def joined(parts: Sequence[CachedFeatures]) -> CachedFeatures:
    """Features of several parts of the texts as one, in the order of the texts.

    Raises:
        UserError: there are no texts.
    """
    if not parts:
        raise UserError("there are no training rows")
    arrays = {name: np.concatenate([vars(part)[name] for part in parts]) for name in ARRAYS}
    order = np.argsort(arrays["texts"])
    return CachedFeatures(**{name: array[order] for name, array in arrays.items()})


def _whole(file: Path, compute: Compute) -> CachedFeatures:
    """Computes what parts that were kept do not hold; writes all features, and removes the parts."""
    folder = file.with_suffix(".parts")
    folder.mkdir(exist_ok=True)
    parts, fresh, written = _kept(folder), list[CachedFeatures](), time.monotonic()
    try:
        for part in compute(frozenset(int(text) for kept in parts for text in kept.texts)):
            fresh.append(part)
            if time.monotonic() - written >= PART_SECONDS:
                parts.append(_keep(folder, fresh))
                fresh, written = [], time.monotonic()
    except BaseException:
        if fresh:
            _keep(folder, fresh)
        raise
    whole = joined([*parts, *fresh])
    _write(file, whole)
    shutil.rmtree(folder, ignore_errors=True)
    return whole


def _kept(folder: Path) -> list[CachedFeatures]:
    """Undamaged parts, each text in one."""
    parts, known = list[CachedFeatures](), set[int]()
    for file in sorted(folder.glob("*.safetensors")):
        part = _read(file)
        if part is not None and known.isdisjoint(part.texts.tolist()):
            parts.append(part)
            known.update(part.texts.tolist())
    return parts


def _keep(folder: Path, fresh: Sequence[CachedFeatures]) -> CachedFeatures:
    part = joined(fresh)
    _write(folder / f"{part.texts[0]:09d}-{len(part.texts)}.safetensors", part)
    return part


def content_hash(folder: Path) -> str:
    """SHA-256 over the files of a model folder; one that has not changed is read once in a process."""
    files = sorted({f for pattern in MODEL_FILES for f in folder.glob(pattern)})
    stats = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    return hashlib.sha256("".join(f"{Path(s[0]).name} {_file_hash(*s)}\n" for s in stats).encode()).hexdigest()


@functools.lru_cache(maxsize=256)
def _file_hash(path: str, size: int, changed: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(file: Path) -> CachedFeatures | None:
    try:
        with safe_open(file, framework="numpy") as stored:
            arrays = {name: stored.get_tensor(name) for name in ARRAYS}
            stated = (stored.metadata() or {}).get("sha256")
    except (OSError, SafetensorError):
        return None
    cached = CachedFeatures(**arrays)
    return cached if stated == _hash(cached) else None


def _write(file: Path, features: CachedFeatures) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        save_file(vars(features), temporary, metadata={"sha256": _hash(features)})
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _hash(features: CachedFeatures) -> str:
    digest = hashlib.sha256()
    for array in vars(features).values():
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _alone(lock: Path, tick: Callable[[], None]) -> Iterator[None]:
    """Waits until no other process holds a lock, which ends with its process; without locks, goes on at once."""
    with lock.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                tick()
                time.sleep(WAIT_SECONDS)
            except OSError:  # a file system without locks: the work may be done twice
                break
        yield
