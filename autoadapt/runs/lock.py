"""task.lock.yaml: the task as it was run, with what identifies it, versions and hardware (JSON is YAML).

References to environment variables stand in it as they were written, never what they stand for.
"""

import contextlib
import importlib.metadata
import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autoadapt.domain.jobs import Devices, seed_of
from autoadapt.domain.rows import Row
from autoadapt.domain.teacher import UNLABELLED
from autoadapt.errors import Exit, UserError
from autoadapt.files import SpecialFileError, content_of, read_rows, set_aside, write_atomic
from autoadapt.passage_search import DOCUMENTS_FILE, read_documents
from autoadapt.runs.run_folder import REBUILT, read_job
from autoadapt.tasks.resolve import ResolvedTask

LOCK_FILE = "task.lock.yaml"
PACKAGES = ("autoadapt", "torch", "transformers", "peft", "datasets", "deepspeed", "optuna")


def write_lock(path: Path, resolved: ResolvedTask, devices: Devices, slots: int) -> None:
    """Writes the lock file: the task with every default, what identifies it, versions, hardware."""
    content = {
        "task": resolved.task.model_dump(mode="json"),
        "price_source": resolved.price_source,
        "models": {
            name: {"family": model.family, "location": model.location} for name, model in resolved.models.items()
        },
        "identity": resolved.identity(),
        "prompts": {
            name: {"version": entry.version, **entry.model_dump(mode="json", exclude={"results"})}
            for name, entry in resolved.space.space.entries.items()
        },
        "versions": _versions(),
        "hardware": {**devices.model_dump(mode="json"), "slots": slots},
    }
    write_atomic(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_lock(path: Path) -> dict[str, Any] | None:
    """The content of a lock file; None where there is none.

    Raises:
        UserError: it is damaged.
    """
    try:
        content = json.loads(content_of(path))
    except FileNotFoundError:
        return None
    except (SpecialFileError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged ({error}); {REBUILT}", Exit.STORAGE) from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: damaged (it holds no mapping); {REBUILT}", Exit.STORAGE)
    return content


def check_same(path: Path, resolved: ResolvedTask) -> None:
    """Refuses to resume a study whose question has changed.

    A damaged lock file is set aside; then the frozen rows and the jobs of the run folder say what the question was.

    Raises:
        UserError: lists what differs and how to fork; exit 3 when only the data differ.
    """
    lock = _whole_lock(path)
    if lock is None:
        lines = [*_other_rows(path.parent / "data", resolved), *_other_jobs(path.parent / "trials", resolved)]
    else:
        before, now = lock["identity"], json.loads(json.dumps(resolved.identity()))
        lines = [line for key in now for line in _difference(key, before.get(key), now[key])]
    if lines:
        code = Exit.DATA if all(line.startswith("  data") for line in lines) else Exit.CONFIG
        raise UserError(
            f"{path.parent} holds a study of another question:\n" + "\n".join(lines) + "\n"
            "Undo the change to resume it, or set another `name:` (or --set name=...) to start a new study.",
            code,
        )


def changed_versions(lock: Mapping[str, Any]) -> list[str]:
    """What is installed in another version than a lock file states, as ``torch 2.8.0, now 2.9.1``."""
    stated = lock.get("versions")
    before = stated if isinstance(stated, dict) else {}
    now = _versions()
    return [f"{name} {before[name]}, now {now[name]}" for name in now if before.get(name) not in (None, now[name])]


def _versions() -> dict[str, str | None]:
    return {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}


def _whole_lock(path: Path) -> dict[str, Any] | None:
    """The content of a lock file; None where there is none, or where it was damaged and is set aside."""
    try:
        lock = read_lock(path)
    except UserError:
        lock = {}
    if lock is None or (lock.get("identity") and all(isinstance(lock.get(k), dict) for k in ("identity", "hardware"))):
        return lock
    set_aside(path)
    return None


def _other_rows(folder: Path, resolved: ResolvedTask) -> Iterator[str]:
    """Splits that hold other rows than the frozen ones; a file that was cut short holds the first of them."""
    for name in ("train", "dev", "validation", "test", UNLABELLED):
        now: list[Row] = getattr(resolved.splits, name)
        with contextlib.suppress(OSError, ValidationError, UnicodeDecodeError):
            frozen = read_rows(folder / f"{name}.jsonl")
            if frozen != now[: len(frozen)]:
                yield f"  data.{name}: holds other rows than the frozen ones in {folder}"
    with contextlib.suppress(OSError, ValidationError, UnicodeDecodeError):
        if read_documents(folder / DOCUMENTS_FILE) != (resolved.splits.documents or []):
            yield f"  data.documents: are other documents than the frozen ones in {folder}"


def _other_jobs(folder: Path, resolved: ResolvedTask) -> list[str]:
    """In what the jobs of a run folder differ from those of a task, as far as one job shows."""
    for file in sorted(folder.glob("*/rung*/job.json")):
        job = read_job(file.parent)
        if job is not None:
            metric, now = job.metric.model_dump(mode="json"), resolved.task.metric.model_dump(mode="json")
            seed, seed_now = job.seed, seed_of(resolved.task.seed, job.trial)
            return [*_difference("metric", metric, now), *_difference("seed of a trial", seed, seed_now)]
    return []


def _difference(key: str, before: Any, now: Any) -> list[str]:
    if before == now:
        return []
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted({*before, *now})
        return [line for k in keys for line in _difference(f"{key}.{k}", before.get(k), now.get(k))]
    return [f"  {key}: was {_short(before)}, is {_short(now)}"]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def version(name: str) -> str | None:
    """Version of an installed package; None where it is absent."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
