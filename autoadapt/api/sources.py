"""A task as a user gives it: a file, a mapping, or a Task."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autoadapt.domain.task import Task
from autoadapt.errors import UserError
from autoadapt.tasks.resolve import ResolvedTask, resolve

TaskSource = str | Path | Mapping[str, Any] | Task
"""A task file, its content (files are then looked for in the working directory), or a Task."""


def resolve_source(task: TaskSource, overrides: Sequence[str] = (), download: bool = False) -> ResolvedTask:
    """Reads and checks a task.

    Args:
        task: a file, a mapping or a Task.
        overrides: ``a.b=c`` settings that win over the task.
        download: fetch models that are not on this machine.

    Raises:
        UserError: the first thing that is wrong.
    """
    if isinstance(task, str | Path):
        return resolve(Path(task), overrides, download)
    values = task.model_dump(mode="json", exclude_unset=True) if isinstance(task, Task) else dict(task)
    try:
        text = json.dumps(values, indent=1, default=str, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"the task holds a value that cannot be written to a file: {error}") from error
    return resolve(Path("task"), overrides, download, text)
