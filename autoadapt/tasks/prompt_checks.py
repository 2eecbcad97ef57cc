"""What lint says of files of the prompt library, for a task or without one."""

from pathlib import Path

from autoadapt.domain.strict import StrictModel
from autoadapt.errors import UserError
from autoadapt.prompts.linting import Finding, TaskRows, lint
from autoadapt.tasks.prompt_costs import PromptCost, prompt_costs
from autoadapt.tasks.prompt_library import StoredEntry, read_entry
from autoadapt.tasks.resolve import ResolvedTask


class LintedPrompt(StrictModel):
    """What lint says of one file."""

    file: str
    name: str
    """Id and version; empty: the file is no entry."""
    findings: list[Finding]
    costs: list[PromptCost]
    """Empty: it cannot be rendered."""

    @property
    def failed(self) -> bool:
        """Whether there is an error among the findings."""
        return _has_error(self.findings)


def lint_file(path: Path, resolved: ResolvedTask | None) -> LintedPrompt:
    """What lint says of a file; that it is no entry is a finding.

    Args:
        path: the file.
        resolved: whose labels and rows must not stand in it, and whose models count its tokens; None: none.
    """
    try:
        stored = read_entry(path)
    except UserError as error:
        findings = [Finding(severity="error", place="file", message=line) for line in str(error).splitlines()]
        return LintedPrompt(file=str(path), name="", findings=findings, costs=[])
    return lint_entry(stored, resolved)


def lint_entry(stored: StoredEntry, resolved: ResolvedTask | None) -> LintedPrompt:
    """The same for an entry that was read."""
    entry = stored.entry
    findings = lint(entry)
    renders = not _has_error(findings)
    if renders and resolved is not None:
        findings = [*lint(entry, _rows_of(resolved)), *_other_kind(stored, resolved)]
    costs = prompt_costs(entry, resolved) if renders else []
    return LintedPrompt(file=str(stored.path), name=entry.name, findings=findings, costs=costs)


def _rows_of(resolved: ResolvedTask) -> TaskRows:
    splits = resolved.splits
    answered = {"validation": splits.validation, "test": splits.test}
    return TaskRows(splits.labels or [], resolved.metric.answers == "labels", answered)


def _other_kind(stored: StoredEntry, resolved: ResolvedTask) -> list[Finding]:
    answers = resolved.metric.answers
    if stored.entry.fits(answers, resolved.task.prompts.task_type):
        return []
    wanted = resolved.task.prompts.task_type or ("tasks with free text" if answers == "text" else "tasks with labels")
    message = f"{stored.entry.task_type} does not suit this task, which needs a prompt for {wanted}"
    return [Finding(severity="warning", place="task_type", message=message)]


def _has_error(findings: list[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)
