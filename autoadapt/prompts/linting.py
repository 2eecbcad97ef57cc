"""What is wrong with an entry of the prompt library, by itself and for the rows of a task; and its length."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from autoadapt.domain.prompt_entry import GIVEN_TO_INSTRUCTION, GIVEN_TO_TEMPLATE, LABEL_TYPES, PromptEntry
from autoadapt.domain.rows import Row
from autoadapt.domain.strict import StrictModel
from autoadapt.errors import UserError, did_you_mean
from autoadapt.prompts.limits import check_limited
from autoadapt.prompts.rendering import Prompt, check_prompt, fixed_texts, names_read
from autoadapt.shown_text import fit_to_show

Severity = Literal["error", "warning"]
PROBE_LABELS = ("first kind", "second kind")
PROBE_INPUT = "probe-input-6174"
SHORTEST_INPUT = 20
"""Characters of an input, and of an answer that is no label, from which on it is looked for; shorter ones stand in many
texts by chance."""
QUOTED = 60
"""Characters of a text that a finding quotes."""


class Finding(StrictModel):
    """One thing that is wrong with an entry."""

    severity: Severity
    """An error must be mended; a warning may be meant so."""
    place: str
    """The key of the entry."""
    message: str
    """What is wrong and what to do."""


@dataclass(frozen=True)
class TaskRows:
    """What lint looks for in an entry: what a prompt of the task must not give away.

    Args:
        labels: of the task; empty for free text.
        multi_label: whether an answer is a set of labels.
        splits: rows that are answered, by the name of their split.
    """

    labels: Sequence[str]
    multi_label: bool
    splits: Mapping[str, Sequence[Row]]


def lint(entry: PromptEntry, task: TaskRows | None = None) -> list[Finding]:
    """Everything that is found, errors first.

    Args:
        entry: of the library.
        task: whose labels and rows are looked for; None: none are.
    """
    found = list(_variables(entry))
    if not any(finding.severity == "error" for finding in found):
        found += _rendering(entry, task)
    if task is not None and not any(finding.severity == "error" for finding in found):
        found += [*_labels(entry, task), *_rows(entry, task)]
    return sorted(found, key=lambda finding: finding.severity)


def first_error(entry: PromptEntry) -> str | None:
    """The first variable that is wrong, or that the instruction is not shown; None: nothing is. Renders nothing."""
    return next((f"{f.place}: {f.message}" for f in _variables(entry) if f.severity == "error"), None)


def _error(place: str, message: str) -> Finding:
    return Finding(severity="error", place=place, message=message)


def _warning(place: str, message: str) -> Finding:
    return Finding(severity="warning", place=place, message=message)


def _variables(entry: PromptEntry) -> Iterator[Finding]:
    read: set[str] = set()
    for place, source, given in (
        ("template", entry.template, GIVEN_TO_TEMPLATE),
        ("instruction", entry.instruction, GIVEN_TO_INSTRUCTION),
    ):
        try:
            names = names_read(source)
        except UserError as error:
            yield _error(place, str(error).removeprefix("prompt template").lstrip(":, "))
            return
        known = {*given, *entry.variables}
        for name in sorted(names - known):
            yield _error(
                place,
                f"'{name}' is not defined: {did_you_mean(name, known)} Declare it under variables, or mend its name",
            )
        read |= names
    for name in entry.variables:
        if name not in read:
            yield _warning(f"variables.{name}", "is never used; use it, or remove it")
    if entry.instruction.strip() and "instruction" not in names_read(entry.template):
        yield _error("template", "does not show the instruction; write {{ instruction }} where it belongs")


def _rendering(entry: PromptEntry, task: TaskRows | None) -> list[Finding]:
    """Whether it can be rendered: with labels, with sets of them, or for free text, as it is meant for."""
    cases: list[tuple[Sequence[str], bool]] = [((), False)]
    if entry.task_type in LABEL_TYPES:
        cases = [(PROBE_LABELS, False), (PROBE_LABELS, True)]
    if task is not None and bool(task.labels) == (entry.task_type in LABEL_TYPES):
        cases = [(task.labels, task.multi_label)]
    try:
        for labels, multi_label in cases:
            check = partial(check_prompt, entry.bound_template, entry.bound_instruction, labels, multi_label)
            check_limited({"": check})
    except UserError as error:
        return [_error("template", str(error).removeprefix(": ").removeprefix("prompt template: "))]
    return []


def _fixed(entry: PromptEntry) -> dict[str, str]:
    """The texts that each prompt of an entry shows whatever the task is, by their place."""
    written = {"template": fixed_texts(entry.template), "instruction": fixed_texts(entry.instruction)}
    values = {f"variables.{name}": value for name, value in entry.variables.items()}
    return {place: "\n".join(texts) for place, texts in written.items()} | values


def _labels(entry: PromptEntry, task: TaskRows) -> Iterator[Finding]:
    if not task.labels:
        return
    given_away = _named(_after_input(entry, task), task)
    if 0 < len(given_away) < len(task.labels):
        shown = ", ".join(map(_quoted, given_away))
        yield _error("template", f"shows {shown} between the input and the answer, which gives it away; remove it")
    for place, text in _fixed(entry).items():
        named = _named(text, task)
        if 0 < len(named) < len(task.labels):
            shown = ", ".join(map(_quoted, named))
            yield _warning(
                place,
                f"names {len(named)} of {len(task.labels)} labels ({shown}), which favours them; name all by "
                "{{ labels | join(', ') }}, or none",
            )


def _after_input(entry: PromptEntry, task: TaskRows) -> str:
    """What a prompt shows behind the input."""
    prompt = Prompt(entry.bound_template, entry.bound_instruction, task.labels, task.multi_label)
    return prompt.render(PROBE_INPUT).rpartition(PROBE_INPUT)[2]


def _named(text: str, task: TaskRows) -> list[str]:
    """The labels that stand in a text as whole words, whatever their case."""
    return [label for label in task.labels if re.search(rf"(?<!\w){re.escape(label)}(?!\w)", text, re.IGNORECASE)]


def _rows(entry: PromptEntry, task: TaskRows) -> Iterator[Finding]:
    """Rows that are answered, and answers to them, that stand in an entry: one finding a place and a split."""
    for place, fixed in _fixed(entry).items():
        text = _plain(fixed)
        for split, rows in task.splits.items():
            inputs = [row.input for row in rows if _stands_in(row.input, text)]
            outputs = [] if task.labels else [o for row in rows for o in row.outputs if _stands_in(o, text)]
            for what, found in (("input", inputs), ("answer", outputs)):
                if found:
                    yield _error(
                        place,
                        f"holds the {what} of {len(found)} {split} row{'s' if len(found) > 1 else ''} "
                        f"('{_quoted(found[0])}'), which would make its quality look too high; remove it",
                    )


def _stands_in(text: str, inside: str) -> bool:
    plain = _plain(text)
    return len(plain) >= SHORTEST_INPUT and plain in inside


def _plain(text: str) -> str:
    """A text in lower case, its words apart by one space."""
    return " ".join(text.casefold().split())


def _quoted(text: str) -> str:
    text = fit_to_show(" ".join(text.split()))
    return text if len(text) <= QUOTED else f"{text[: QUOTED - 3]}..."
