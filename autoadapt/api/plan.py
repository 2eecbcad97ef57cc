"""Plan: hours, dollars and memory of a search before it runs; what ``autoadapt plan`` calls."""

from collections.abc import Sequence
from pathlib import Path

from autoadapt.api.sources import TaskSource, resolve_source
from autoadapt.domain.plan import Plan
from autoadapt.forecast.planning import make_plan


def plan(task: TaskSource, *, overrides: Sequence[str] = (), runs: str | Path = "runs") -> Plan:
    """Hours, dollars and memory of a search before it runs; like ``autoadapt plan``.

    Args:
        task: a task file, or its content as a mapping.
        overrides: ``a.b=c`` settings that win over the task.
        runs: folder of all studies.

    Raises:
        UserError: the task is wrong, or no method can run.
    """
    return plan_with_warnings(task, overrides, runs)[0]


def plan_with_warnings(
    task: TaskSource, overrides: Sequence[str] = (), runs: str | Path = "runs"
) -> tuple[Plan, tuple[str, ...]]:
    """The plan, and what is worth knowing of the task; arguments as of `plan`."""
    resolved = resolve_source(task, overrides, download=True)
    return make_plan(resolved, Path(runs) / resolved.task.name), resolved.warnings
