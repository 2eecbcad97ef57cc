"""What ``autoadapt init`` shows: the columns of a file with sample rows, and the search that it proposes."""

import shlex

from autoadapt.forecast.proposals import Begun
from autoadapt.shown_text import printable
from autoadapt.tasks.first_look import LOOKED_AT, FirstLook

MOST_COLUMNS, WIDEST_NAME, WIDEST_SAMPLE = 30, 24, 28
KINDS = {"label": "one label of each text", "labels": "a set of labels of each text", "text": "a written answer"}


def column_lines(look: FirstLook) -> list[str]:
    """A line per column: its number, its name and three sample rows."""
    shown = look.columns[:MOST_COLUMNS]
    width = max(len(_short(column, WIDEST_NAME)) for column in shown)
    lines = [
        f"  {number:>2}  {_short(column, WIDEST_NAME):<{width}}  "
        + " | ".join(_short(sample, WIDEST_SAMPLE) for sample in look.samples(column))
        for number, column in enumerate(shown, 1)
    ]
    further = len(look.columns) - len(shown)
    return [line.rstrip() for line in lines] + ([f"  and {further} more columns"] if further else [])


def flags(source: str, answer: str) -> str:
    """The options that name two columns, as they can be typed."""
    return f"--input {shlex.quote(source)} --output {shlex.quote(answer)}"


def look_line(look: FirstLook) -> str:
    """The file in a line, such as ``rows.csv: 680 rows, 3 columns; semicolons, Windows-1252``."""
    rows = f"more than {LOOKED_AT:,}" if look.more else f"{len(look.records):,}"
    form = f"; {look.form}" if look.form else ""
    return printable(f"{look.path.name}: {rows} rows, {len(look.columns)} columns{form}")


def begun_lines(begun: Begun) -> list[str]:
    """What is proposed, a line each."""
    beginning, proposal = begun.beginning, begun.proposal
    slots = f"{proposal.slots} job{'s' if proposal.slots > 1 else ''} side by side"
    lines = [
        f"columns: text in '{beginning.source}', answer in '{beginning.answer}'",
        f"task:    {KINDS[beginning.answers.kind]} ({beginning.answers.says}); metric {beginning.answers.metric}",
        f"models:  {', '.join(proposal.models)}; they are here and fit ({proposal.device})",
        *(f"         could be named too: {name}" for name in proposal.also),
        f"budget:  {proposal.trials} trials or {proposal.hours:g} h, whichever ends first: at most "
        f"${proposal.most_usd:.2f} ({slots}, {proposal.economics}: {proposal.price})",
    ]
    if beginning.merged:
        merged = ", ".join(f"'{written}' is read as '{label}'" for written, label in beginning.merged.items())
        lines.append(f"labels:  {merged}")
    return [printable(line) for line in lines]


def _short(text: str, width: int) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= width else line[: width - 3] + "..."
