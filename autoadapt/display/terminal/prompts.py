"""Entries of the prompt library in the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from autoadapt.display.terminal.plain_text import plain, terminal
from autoadapt.display.text import dollars, with_interval
from autoadapt.domain.prompt_entry import PromptEntry, PromptResult
from autoadapt.tasks.prompt_checks import LintedPrompt
from autoadapt.tasks.prompt_costs import PromptCost, fixed_tokens
from autoadapt.tasks.prompt_difference import PromptDifference
from autoadapt.tasks.prompt_library import StoredEntry


def print_prompts(listed: Sequence[StoredEntry]) -> None:
    """A line for each entry."""
    table = Table(box=None, pad_edge=False)
    for column in ("prompt", "version", "for", "best result", "where"):
        table.add_column(column, no_wrap=column in ("prompt", "version"))
    for stored in listed:
        entry = stored.entry
        where = "AutoAdapt" if stored.built_in else str(stored.path)
        table.add_row(*map(plain, (entry.id, entry.version, entry.task_type, _best(entry), where)))
    terminal().print(table)


def prompt_json(stored: StoredEntry) -> dict[str, Any]:
    """An entry with its version and its file, as plain values."""
    return {**stored.entry.model_dump(mode="json"), "version": stored.entry.version, "file": str(stored.path)}


def _best(entry: PromptEntry) -> str:
    if not entry.results:
        return "-"
    best = max(entry.results, key=lambda result: result.quality)
    return f"{best.metric} {with_interval(best.quality, (best.low, best.high))}, {best.study}"


def print_prompt(stored: StoredEntry) -> None:
    """An entry with its results."""
    console, entry = terminal(soft_wrap=True), stored.entry
    lines = [
        f"{entry.name} for {entry.task_type}, {stored.path}",
        _tokens_line(fixed_tokens(entry)),
        *([entry.notes.strip()] if entry.notes.strip() else []),
        *(f"variable {name}: {value or '(empty)'}" for name, value in entry.variables.items()),
        "",
        "Instruction:",
        *(f"  {line}" for line in entry.instruction.strip().splitlines()),
        "",
        "Template:",
        *(f"  {line}" for line in entry.template.rstrip().splitlines()),
    ]
    if entry.results:
        lines += ["", "Results:", *(f"  {_result_line(result)}" for result in entry.results)]
    for line in lines:
        console.print(plain(line))


def _tokens_line(tokens: int | None) -> str:
    if tokens is None:
        return "cannot be rendered; `autoadapt prompts lint` says why"
    return f"about {tokens} tokens beside input and examples"


def _result_line(result: PromptResult) -> str:
    quality = with_interval(result.quality, (result.low, result.high))
    return (
        f"{result.metric} {quality} on {result.rows:,} {result.split} rows; {result.study}, trial {result.option}, "
        f"{result.method} on {result.model}, data {result.data}"
    )


def print_findings(linted: Sequence[LintedPrompt]) -> None:
    """What is wrong with each entry, and what it costs."""
    console = terminal(soft_wrap=True)
    for one in linted:
        console.print(plain(f"{one.name or one.file}: {'no finding' if not one.findings else ''}".rstrip(" ")))
        for finding in one.findings:
            console.print(plain(f"  {finding.severity}: {finding.place}: {finding.message}"))
        for cost in one.costs:
            console.print(plain(f"  {_cost_line(cost)}"))
    errors = sum(finding.severity == "error" for one in linted for finding in one.findings)
    warnings = sum(finding.severity == "warning" for one in linted for finding in one.findings)
    console.print(f"prompts: {len(linted)}, errors: {errors}, warnings: {warnings}")


def _cost_line(cost: PromptCost) -> str:
    about = "about " if cost.estimated else ""
    parts = [f"{about}{cost.fixed_tokens} tokens beside input and examples"]
    if cost.query_tokens is not None and cost.answer_tokens is not None:
        parts.append(f"{cost.query_tokens:.0f} with an input, {cost.answer_tokens:.0f} for the answer")
    if cost.usd_per_1k is not None:
        parts.append(f"${dollars(cost.usd_per_1k)} for 1,000 queries")
    line = ", ".join(parts)
    return f"{cost.model}: {line}" if cost.model else line


def print_prompt_difference(found: PromptDifference) -> None:
    """The lines that differ, and the difference in tokens."""
    console = terminal(soft_wrap=True)
    for line in found.lines or [f"{found.first} and {found.second} have the same content."]:
        console.print(plain(line))
    for name, tokens in ((found.first, found.first_tokens), (found.second, found.second_tokens)):
        console.print(plain(f"{name}: {_tokens_line(tokens)}"))
    if found.first_tokens is not None and found.second_tokens is not None:
        console.print(f"difference: {found.second_tokens - found.first_tokens:+d} tokens")
