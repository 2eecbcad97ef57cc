"""Check: task, space, splits, models and storage validated; what ``autoadapt check`` calls."""

from collections.abc import Sequence

from autoadapt.api.sources import TaskSource, resolve_source
from autoadapt.tasks.resolve import ResolvedTask


def check(task: TaskSource, *, overrides: Sequence[str] = ()) -> ResolvedTask:
    """Task, space, splits, models and storage, validated; runs nothing; like ``autoadapt check``.

    Args:
        task: a task file, or its content as a mapping.
        overrides: ``a.b=c`` settings that win over the task.

    Raises:
        UserError: the first thing that is wrong.
    """
    resolved = resolve_source(task, overrides)
    if resolved.task.storage is None:
        return resolved
    from autoadapt.runs.database import check_database

    server = check_database(resolved.task.storage)
    return resolved.with_warnings([f"storage is reachable: {server} at {resolved.task.storage}"])
