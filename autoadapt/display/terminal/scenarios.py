"""Scenarios side by side, in rich and as CSV."""

import csv
import io
import math
from collections.abc import Sequence
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autoadapt.display.terminal.tables import dollars, plain
from autoadapt.domain.comparison import ApiPrice, BreakEven, Column
from autoadapt.domain.option import Option
from autoadapt.domain.scenario import OUTPUT_SPREAD, PRICE_SPREAD, VOLUME_SPREAD
from autoadapt.files import inert

ASSUMED = (
    f"Where a scenario gives one number, low and high are volume x {float(VOLUME_SPREAD[0]):.2g} and "
    f"{float(VOLUME_SPREAD[1]):g}, price x {float(PRICE_SPREAD[0]):.2g} and {float(PRICE_SPREAD[1]):g}, length of "
    f"answers x {float(OUTPUT_SPREAD[0]):g} and {float(OUTPUT_SPREAD[1]):g}. Break-even volumes in brackets: times of "
    "answering 10 % off."
)


def print_comparison(columns: Sequence[Column]) -> None:
    """One column per scenario, the reasons, break-even volumes, API prices, notes."""
    console = Console(highlight=False)
    console.print()
    console.print(_table(columns))
    console.print()
    for column in columns:
        console.print(Text(f"{column.terms.name}: ", style="bold").append_text(plain(column.reason + _bound(column))))
        for line in _lines(column):
            console.print(Text("  ").append_text(plain(line)))
    console.print(Text(ASSUMED, style="dim"))


def _table(columns: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(plain(column.terms.name), justify="right")
    chosen = [(c, c.chosen, next((o for o in c.options if o.trial == c.recommended), None)) for c in columns]
    rows: list[tuple[str, list[str]]] = [
        ("queries a month", [_count(c.terms.volumes[1]) for c in columns]),
        ("$ per device-hour", [dollars(float(c.terms.hour_usd[1])) for c in columns]),
        ("hosting", [c.terms.scenario.hosting for c in columns]),
        ("promise (99 % within)", [_ms(c.terms.constraints.latency_p95_ms) for c in columns]),
        ("recommended", [f"{o.trial} {o.method}" if o else "none" for _, _, o in chosen]),
        ("quality", [f"{o.quality:.3f}" if o else "-" for _, _, o in chosen]),
        ("test quality", [_test(o) for _, _, o in chosen]),
        ("$ per month", [dollars(float(p.usd_per_month)) if p else "-" for _, p, _ in chosen]),
        ("$ per 1k", [dollars(float(p.usd_per_1k)) if p else "-" for _, p, _ in chosen]),
        ("replicas", [str(p.replicas) if p else "-" for _, p, _ in chosen]),
        ("requests/s a replica", [_rate(p.requests_per_s, p.rate_measured) if p else "-" for _, p, _ in chosen]),
        ("p95", [_ms(p.latency_p95_ms, "n too small") if p else "-" for _, p, _ in chosen]),
        ("best in", [f"{c.wins} of {c.cells}" if p else "-" for c, p, _ in chosen]),
    ]
    for name, cells in rows:
        table.add_row(name, *cells, style="bold green" if name == "recommended" else None)
    return table


def _bound(column: Column) -> str:
    return f" Without {' or '.join(column.binding)} it would be another." if column.binding else ""


def _lines(column: Column) -> list[str]:
    terms = column.terms
    lines = [f"price: {terms.price_source}; horizon {float(terms.horizon_months):g} months"]
    chosen = next((o for o in column.options if o.trial == column.recommended), None)
    if chosen is not None and chosen.test_quality is None:
        lines.append(
            f"trial {chosen.trial} is off the task's own frontier: it was not re-scored on test rows or measured "
            "under load, and if it was trained its weights are gone; its trial folder can be run again"
        )
    rivals = [f"trial {t} in {n}" for t, n in column.winners.items() if t != column.recommended][:3]
    if rivals:
        lines.append(f"of the {column.cells} cells of low, likely and high, others win: {', '.join(rivals)}")
    methods = {o.trial: o.method for o in column.options}
    lines += [f"break-even {break_even_text(b, methods)}" for b in column.break_even]
    lines += [_api_text(a) for a in column.api]
    lines += [f"note: {w}" for w in column.warnings]
    return lines


def break_even_text(found: BreakEven, methods: dict[int, str]) -> str:
    """A break-even in a line."""

    def name(trial: int) -> str:
        return f"trial {trial} ({methods.get(trial, '?')})"

    pair = f"{name(found.trial)} / {name(found.other)}: "
    if not found.volumes:
        cheaper = "they cost the same" if found.cheaper is None else f"{name(found.cheaper)} is cheaper"
        return f"{pair}none in range, {cheaper} at every volume"
    first = _count(found.volumes[0])
    more = f" and {len(found.volumes) - 1} more on the staircase" if len(found.volumes) > 1 else ""
    if found.low is None or found.high is None:
        around = " (uncertain: with times 10 % off there may be none)"
    else:
        around = f" [{_count(found.low)} - {_count(found.high)}]"
    return f"{pair}from {first}{around} queries a month the second is cheaper{more}"


def _api_text(found: ApiPrice) -> str:
    told = f"the same tokens at {found.model} ({found.source}): ${dollars(float(found.usd_per_1k))} per 1k"
    told += f" [{dollars(float(found.low))} - {dollars(float(found.high))}]" if found.low != found.high else ""
    told += f", ${dollars(float(found.usd_per_month))} a month; its quality was not measured"
    if found.cheaper_from is None:
        return told + "; the recommended option costs more at every volume"
    if found.cheaper_from == 0:
        return told + "; the recommended option costs less at every volume"
    return told + f"; the recommended option costs less from {_count(found.cheaper_from)} queries a month"


def _test(option: Option | None) -> str:
    return "-" if option is None or option.test_quality is None else f"{option.test_quality:.3f}"


def _rate(rate: float, measured: bool) -> str:
    return f"{rate:.3g}" if measured else f"about {rate:.3g}"


def _ms(value: float | None, absent: str = "-") -> str:
    return absent if value is None else f"{value:.4g} ms"


def _count(value: Decimal) -> str:
    """A volume with three significant figures."""
    number = float(value)
    digits = max(0, 2 - math.floor(math.log10(number))) if number > 0 else 0
    return f"{round(number, 2 - math.floor(math.log10(number))) if number > 0 else 0:,.{min(digits, 2)}f}"


def comparison_csv(columns: Sequence[Column]) -> str:
    """One row per scenario and option."""
    out = io.StringIO()
    rows: list[dict[str, object]] = []
    for column in columns:
        terms = column.terms
        for option, priced in zip(column.options, column.priced, strict=True):
            rows.append(
                {
                    # a spreadsheet runs what begins so
                    "scenario": inert(terms.name),
                    "trial": option.trial,
                    "method": option.method,
                    "recommended": option.trial == column.recommended,
                    "on_frontier": option.on_frontier,
                    "quality": option.quality,
                    "test_quality": option.test_quality,
                    "usd_per_month": priced.usd_per_month,
                    "usd_per_1k": priced.usd_per_1k,
                    "serving_usd_per_month": priced.serving_usd_per_month,
                    "training_usd": priced.training_usd,
                    "replicas": priced.replicas,
                    "requests_per_s": priced.requests_per_s,
                    "rate_measured": priced.rate_measured,
                    "latency_p95_ms": priced.latency_p95_ms,
                    "cells_won": column.winners.get(option.trial, 0),
                    "queries_per_month": terms.volumes[1],
                    "hour_usd": terms.hour_usd[1],
                    "hosting": terms.scenario.hosting,
                }
            )
    if rows:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return out.getvalue()
