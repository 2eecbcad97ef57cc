"""The end of a search on one screen: the advice, what it is against, a few options, caveats, and what to type next."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autoadapt.display.answer import Answer
from autoadapt.display.sentences import trials_text
from autoadapt.display.terminal.plain_text import plain, terminal
from autoadapt.display.text import dollars, duration, money, quality_text, validation_note
from autoadapt.domain.option import Option, number_text

if TYPE_CHECKING:
    from autoadapt.runs.study import Study

LONGEST_NAME, SHORTEST_NAME = 44, 16
NUMBERS, SPREAD = 54, 8
"""Columns of a table beside the names; those of the spread of quality, where it is known of any option."""


def print_summary(study: "Study", report: Path | None) -> None:
    """Prints at most a screen of a study; `print_result` prints everything.

    Args:
        study: loaded.
        report: where its HTML report was written; None: nowhere.
    """
    console, answer = terminal(), Answer(study)
    console.print()
    _print_advice(console, answer)
    console.print()
    console.print(_table(answer, console.width))
    console.print()
    for line in answer.caveats():
        console.print(Text("Note: ", style="dim").append_text(plain(line)))
    spent = study.results.spent
    console.print(f"Spent: ${dollars(spent.usd)} and {duration(spent.wall_seconds)} on {trials_text(study.results)}.")
    if answer.export_command():
        console.print(plain(f"Deploy: {answer.export_command()}"), soft_wrap=True)
    if report is not None:
        console.print(plain(f"Page: {report}"), soft_wrap=True)
    command, does = answer.commands()[2]
    console.print(plain(f"Next: {command}   ({does})"), soft_wrap=True)


def _print_advice(console: Console, answer: Answer) -> None:
    if answer.chosen is None:
        head = Text("No recommendation: ", style="bold")
        console.print(head.append_text(plain(answer.study.recommendation.reason)))
        return
    trial = f" (trial {number_text(answer.chosen.trial)})"
    advice = f"{answer.headline[4:-1].removesuffix(trial)}{trial}."
    console.print(Text("Recommended: ", style="bold").append_text(plain(advice)))
    for name, text in (
        ("quality", answer.quality),
        ("robust", answer.robustness),
        ("cost", answer.cost),
        ("latency", answer.latency),
        ("against", answer.compared),
        ("gain", answer.gain),
        ("labels", answer.labels),
    ):
        if text:
            grid = Table.grid(padding=(0, 2))
            grid.add_column(width=9, no_wrap=True)
            grid.add_column()
            grid.add_row(f"  {name}", plain(text))
            console.print(grid)


def _table(answer: Answer, width: int) -> Table:
    """At most seven options, one line each; on a narrow terminal names are cut and never numbers.

    Args:
        answer: to show.
        width: columns of the terminal.
    """
    options = answer.top_options()
    million = max((answer.month_usd(o) for o in options), default=0.0) < 1
    table, spreads = Table(box=None, pad_edge=False, header_style="bold"), _spreads(options)
    numbers = NUMBERS + (SPREAD if spreads else 0)
    table.add_column("option", no_wrap=True, max_width=max(SHORTEST_NAME, min(LONGEST_NAME, width - numbers)))
    cost_name = "$ per million" if million else "$ a month"
    for name in ("trial", "quality [95 %]", *(["spread"] if spreads else []), cost_name, "ms, 95 %"):
        table.add_column(name, justify="right", no_wrap=True)
    for option in options:
        chosen = option.trial == answer.study.recommendation.trial
        cost = dollars(option.cost_usd_per_1k * 1000) if million else money(answer.month_usd(option)).lstrip("$")
        table.add_row(
            plain(answer.name(option)),
            ("*" if chosen else "") + number_text(option.trial).replace(" ", ""),
            quality_text(option, interval=True),
            *([spreads.get(option.trial, "-")] if spreads else []),
            cost,
            _latency(option),
            style="bold green" if chosen else None,
        )
    left = len(answer.study.options) - len(options)
    below = [note] if (note := validation_note(options)) else []
    if spreads:
        below.append("spread: standard deviation of quality among other wordings of the prompt, in points.")
    if left > 0:
        below.append(f"and {left} more: report --all")
    table.caption, table.caption_justify = "\n".join(below) or None, "left"
    return table


def _spreads(options: Sequence[Option]) -> dict[int, str]:
    """By trial, the spread of quality among wordings of a prompt, in points."""
    known = {o.trial: o.robustness.spread for o in options if o.robustness is not None}
    return {trial: f"{100 * spread.deviation:.1f}" for trial, spread in known.items() if spread is not None}


def _latency(option: Option) -> str:
    return "n/a" if option.latency_p95_ms is None else f"{option.latency_p95_ms:.3g}"
