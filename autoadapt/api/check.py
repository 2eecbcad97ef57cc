"""Check: task, space, splits and models validated; what ``autoadapt check`` calls."""

from collections.abc import Sequence

from autoadapt.api.sources import TaskSource, resolve_source
from autoadapt.tasks.resolve import ResolvedTask


def check(task: TaskSource, *, overrides: Sequence[str] = ()) -> ResolvedTask:
    """Task, space, splits and models, validated; runs nothing; like ``autoadapt check``.

    Args:
        task: a task file, or its content as a mapping.
        overrides: ``a.b=c`` settings that win over the task.

    Raises:
        UserError: the first thing that is wrong.
    """
    return resolve_source(task, overrides)
