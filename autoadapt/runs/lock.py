"""task.lock.yaml: the task as it was run, with what identifies it, versions and hardware (JSON is YAML).

References to environment variables stand in it as they were written, never what they stand for.
"""

import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

from autoadapt.domain.jobs import Devices
from autoadapt.errors import Exit, UserError
from autoadapt.files import write_atomic
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
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "hardware": {**devices.model_dump(mode="json"), "slots": slots},
    }
    write_atomic(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_lock(path: Path) -> dict[str, Any] | None:
    """The content of a lock file; None where there is none.

    Raises:
        UserError: it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}); restore it, or start under another name", Exit.STORAGE) from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: damaged (it holds no mapping); restore it, or start under another name", Exit.STORAGE)
    return content


def check_same(path: Path, resolved: ResolvedTask) -> None:
    """Refuses to resume a study whose question has changed.

    Raises:
        UserError: lists what differs and how to fork; exit 3 when only the data differ.
    """
    lock = read_lock(path)
    if lock is None:
        return
    before, now = lock.get("identity"), json.loads(json.dumps(resolved.identity()))
    if not isinstance(before, dict) or not isinstance(lock.get("hardware"), dict):
        raise UserError(
            f"{path}: written by another version of AutoAdapt, or damaged; restore it, or start under another name",
            Exit.STORAGE,
        )
    lines = [line for key in now for line in _difference(key, before.get(key), now[key])]
    if lines:
        code = Exit.DATA if all(line.startswith("  data") for line in lines) else Exit.CONFIG
        raise UserError(
            f"{path.parent} holds a study of another question:\n" + "\n".join(lines) + "\n"
            "Undo the change to resume it, or set another `name:` (or --set name=...) to start a new study.",
            code,
        )


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
