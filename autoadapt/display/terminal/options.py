"""Options in tables."""

from collections.abc import Sequence

from rich.table import Table

from autoadapt.display.goals import further_goals, goal_text
from autoadapt.display.text import dollars, p95_text, too_few, with_interval
from autoadapt.domain.objective import DEFAULT_GOALS, Goal
from autoadapt.domain.option import Option, Role, number_text

SHOWN_AS: dict[Role, str] = {
    "floor": "floor",
    "baseline": "base",
    "default": "default",
    "taught": "labels",
    "part": "part",
}
"""What a dominated option is that is shown all the same, in a word that fits into a table."""
CORRECTED = 0.005
"""Difference of measured and expected quality from which a table states that the frontier is chosen by the latter."""


def frontier_table(
    options: Sequence[Option], recommended: int | None = None, goals: tuple[Goal, ...] = DEFAULT_GOALS
) -> Table:
    """The frontier: quality with interval on validation and on test rows, cost, latency, and further objectives."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("method", no_wrap=True)
    further = further_goals(goals)
    for name in ("quality [95 %]", "test [95 %]", "$ / 1k", "p95 ms", *(goal.title for goal in further)):
        table.add_column(name, justify="right", no_wrap=True)
    for option in options:
        test = "-"
        if option.test_quality is not None and option.test_quality_ci is not None:
            test = with_interval(option.test_quality, option.test_quality_ci)
        table.add_row(
            # without spaces: the table of a cascade fits into 80 columns
            f"{'*' if option.trial == recommended else ''}{number_text(option.trial).replace(' ', '')}",
            option.method if option.shown_as is None else f"{option.method} ({SHOWN_AS[option.shown_as]})",
            with_interval(option.quality, option.quality_ci),
            test,
            dollars(option.cost_usd_per_1k),
            # the reason stands below the table, which has to fit into 80 columns
            "n/a" if option.latency_p95_ms is None else p95_text(option),
            *(goal_text(option, goal) for goal in further),
            style="bold green" if option.trial == recommended else None,
        )
    notes = []
    if any(abs(o.quality - o.quality_expected) > CORRECTED for o in options):
        notes.append("The frontier is chosen by expected quality: lucky measurements are corrected by similar trials.")
    if any(o.latency_p95_ms is None for o in options):
        notes.append(f"p95 {too_few()}.")
    if notes:
        table.caption, table.caption_justify = " ".join(notes), "left"
    return table


def small_frontier(options: Sequence[Option], most: int = 8) -> Table:
    """The frontier in a few narrow columns.

    Args:
        options: of the frontier.
        most: rows of options.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for name in ("trial", "method", "quality", "$ per 1k", "p95 ms"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for option in options[:most]:
        quality, cost = f"{option.quality:.3f}", dollars(option.cost_usd_per_1k)
        table.add_row(number_text(option.trial), option.method, quality, cost, p95_text(option))
    if len(options) > most:
        table.add_row("", f"and {len(options) - most} more", "", "", "")
    return table
