"""Kinds of options side by side under a scenario: the best prompt, LoRA, full tuning, classifier, hosted model."""

from collections.abc import Sequence

from rich.table import Table

from autoadapt.display.option_names import method_name, option_names
from autoadapt.display.sentences import count_text, ms_text
from autoadapt.display.terminal.plain_text import plain
from autoadapt.display.text import money, quality_text
from autoadapt.domain.comparison import Column
from autoadapt.domain.option import Option, number_text
from autoadapt.verdict.recommendation import violations


def kind_of(option: Option) -> str:
    """What kind of option it is."""
    if option.cascade is not None:
        return "cascade"
    return "hosted model" if option.network else method_name(option.method)


HOSTING = {"per_use": "by use", "always_on": "rented day and night", "scale_to_zero": "rented while there are queries"}


def best_of_each_kind(column: Column) -> list[Option]:
    """Of every kind the best option that satisfies the constraints, else the best one; the best kind first."""
    groups: dict[str, list[Option]] = {}
    for option in column.options:
        groups.setdefault(kind_of(option), []).append(option)
    best = []
    for group in groups.values():
        recommended = [o for o in group if o.trial == column.recommended]
        fitting = [o for o in group if not violations(o, column.terms.constraints)]
        best.append(max(recommended or fitting or group, key=lambda o: o.quality_expected))
    return sorted(best, key=lambda o: -o.best_known_quality[0])


def kinds_table(column: Column) -> Table:
    """One line per kind: quality, dollars a month, latency, and whether it meets what was asked."""
    best, priced = best_of_each_kind(column), {p.trial: p for p in column.priced}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("  best of each kind", no_wrap=True)
    for name in ("trial", "quality", "a month", "95 % within"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("meets what was asked", max_width=40)
    for option in best:
        misses = violations(option, column.terms.constraints)
        table.add_row(
            plain(f"{'*' if option.trial == column.recommended else ' '} {kind_of(option)}"),
            number_text(option.trial),
            quality_text(option),
            money(float(priced[option.trial].usd_per_month), "< 1 cent"),
            "n/a" if option.latency_p95_ms is None else ms_text(option.latency_p95_ms),
            plain("no: " + misses[0] if misses else "yes"),
        )
    return table


def advice_by_volume(columns: Sequence[Column]) -> str:
    """What to do at which volume, in one sentence; scenarios of the same advice are put together."""
    by_advice: dict[str, list[str]] = {}
    for column in sorted(columns, key=lambda c: c.terms.volumes[1]):
        names = option_names(column.options)
        advice = "nothing fits" if column.recommended is None else f"use {names[column.recommended]}"
        hosting = HOSTING.get(column.terms.scenario.hosting, "")
        where = f"{count_text(column.terms.volumes[1])} queries a month{f', {hosting}' if hosting else ''}"
        by_advice.setdefault(advice, []).append(where)
    return "; ".join(f"at {' and at '.join(where)}: {advice}" for advice, where in by_advice.items()) + "."
