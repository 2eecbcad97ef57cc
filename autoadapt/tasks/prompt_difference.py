"""What differs between two entries of the prompt library."""

import difflib

from autoadapt.domain.prompt_entry import PromptEntry
from autoadapt.domain.strict import StrictModel
from autoadapt.tasks.prompt_costs import fixed_tokens


class PromptDifference(StrictModel):
    """Two entries, or two versions of one."""

    first: str
    second: str
    """Ids and versions."""
    lines: list[str]
    """A unified diff of task type, variables, instruction and template; empty: the contents are the same."""
    first_tokens: int | None
    second_tokens: int | None
    """Of a prompt with an empty input and without examples, estimated; None: it cannot be rendered."""


def prompt_difference(before: PromptEntry, after: PromptEntry) -> PromptDifference:
    """What differs between two entries."""
    lines = difflib.unified_diff(_lines(before), _lines(after), before.name, after.name, lineterm="")
    return PromptDifference(
        first=before.name,
        second=after.name,
        lines=list(lines),
        first_tokens=fixed_tokens(before),
        second_tokens=fixed_tokens(after),
    )


def _lines(entry: PromptEntry) -> list[str]:
    return [
        f"task_type: {entry.task_type}",
        *(f"variables.{name}: {value}" for name, value in sorted(entry.variables.items())),
        "instruction:",
        *(f"  {line}" for line in entry.instruction.strip().splitlines()),
        "template:",
        *(f"  {line}" for line in entry.template.rstrip().splitlines()),
    ]
