"""Scenarios side by side."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from autoadapt.display.goals import further_goals, goal_text
from autoadapt.display.sentences import break_even_line, cascade_rule, count_text, ms_text
from autoadapt.display.terminal.kinds import advice_by_volume, best_of_each_kind, kinds_table
from autoadapt.display.terminal.plain_text import plain, terminal
from autoadapt.display.text import dollars, money, validation_note
from autoadapt.domain.comparison import ApiPrice, Column, Priced
from autoadapt.domain.objective import DEFAULT_GOALS, Goal
from autoadapt.domain.option import Option, number_text, trial_name
from autoadapt.domain.scenario import OUTPUT_SPREAD, PRICE_SPREAD, VOLUME_SPREAD

ASSUMPTIONS = (
    f"Where a scenario gives one number, low and high are volume x {float(VOLUME_SPREAD[0]):.2g} and "
    f"{float(VOLUME_SPREAD[1]):g}, price x {float(PRICE_SPREAD[0]):.2g} and {float(PRICE_SPREAD[1]):g}, length of "
    f"answers x {float(OUTPUT_SPREAD[0]):g} and {float(OUTPUT_SPREAD[1]):g}. Break-even volumes in brackets: times of "
    "answering 10 % off."
)


def print_comparison(columns: Sequence[Column], goals: tuple[Goal, ...] = DEFAULT_GOALS) -> None:
    """Prints one column per scenario, then reasons, break-even volumes, API prices and notes.

    Args:
        columns: one per scenario.
        goals: the objectives of the task.
    """
    console = terminal()
    console.print()
    console.print(_table(columns, goals))
    console.print()
    for column in columns:
        reason = plain(column.reason + _binding_text(column))
        console.print(Text(f"{column.terms.name}: ", style="bold").append_text(reason))
        console.print(kinds_table(column))
        for line in _lines(column):
            console.print(Text("  ").append_text(plain(line)))
    if note := validation_note([o for column in columns for o in best_of_each_kind(column)]):
        console.print(Text(note, style="dim"))
    console.print(Text(ASSUMPTIONS, style="dim"))
    console.print()
    console.print(Text("What to do: ", style="bold").append_text(plain(advice_by_volume(columns))))


def _table(columns: Sequence[Column], goals: tuple[Goal, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(plain(column.terms.name), justify="right")
    per_column = [_terms_cells(c) | _option_cells(c, goals) for c in columns]
    for name in per_column[0] if per_column else ():
        cells = [cells[name] for cells in per_column]
        table.add_row(name, *cells, style="bold green" if name == "recommended" else None)
    return table


def _terms_cells(column: Column) -> dict[str, str]:
    terms = column.terms
    target = terms.constraints.latency_p95_ms
    return {
        "queries a month": count_text(terms.volumes[1]),
        "$ per device-hour": dollars(float(terms.hour_usd[1])),
        "hosting": terms.scenario.hosting,
        "latency limit": "-" if target is None else ms_text(target),
    }


def _option_cells(column: Column, goals: tuple[Goal, ...]) -> dict[str, str]:
    """Row -> cell of the recommended option; dashes where there is none."""
    option, priced = _recommended(column), column.chosen
    further = further_goals(goals)
    if option is None or priced is None:
        names = (
            "validation quality",
            "test quality",
            "$ per month",
            "$ per 1k",
            "replicas",
            "requests/s a replica, 99 % in time",
            "p95",
            "within the limit",
            "best in",
        )
        return {"recommended": "none"} | dict.fromkeys((*names, *(goal.title for goal in further)), "-")
    return {
        "recommended": f"{number_text(option.trial)} {option.method}",
        "validation quality": f"{option.quality:.3f}",
        "test quality": "-" if option.test_quality is None else f"{option.test_quality:.3f}",
        "$ per month": dollars(float(priced.usd_per_month)),
        "$ per 1k": dollars(float(priced.usd_per_1k)),
        "replicas": str(priced.replicas),
        "requests/s a replica, 99 % in time": _rate_text(priced),
        "p95": ms_text(priced.latency_p95_ms),
        "within the limit": "-" if priced.within_target is None else f"{100 * priced.within_target:.1f} %",
        "best in": f"{column.wins} of {column.cells}",
        **{goal.title: goal_text(option, goal) for goal in further},
    }


def _recommended(column: Column) -> Option | None:
    return next((o for o in column.options if o.trial == column.recommended), None)


def _rate_text(priced: Priced) -> str:
    if priced.requests_per_s is None:
        return "-"
    return f"{priced.requests_per_s:.3g}" if priced.rate_measured else f"about {priced.requests_per_s:.3g}"


LEAST_SAVING_USD = 0.01
"""A month, which a hosted model must save to be pointed at."""


def _binding_text(column: Column) -> str:
    return f" Without {' or '.join(column.binding)} another option would be recommended." if column.binding else ""


def _lines(column: Column) -> list[str]:
    terms = column.terms
    training = f"training at ${dollars(float(terms.training_hour_usd))} a device-hour"
    lines = [f"price: {terms.price_source}; {training}; horizon {float(terms.horizon_months):g} months"]
    option = _recommended(column)
    if option is not None and option.cascade is not None:
        lines.append(f"{option.name}: {cascade_rule(option)}; both must be served")
    if option is not None and option.test_quality is None:
        lines.append(
            f"{option.name} is not on the frontier under the task's own economics, so that it was not scored on test "
            "rows: its quality is that on validation rows"
        )
    others = [f"{trial_name(t)} in {n}" for t, n in column.winners.items() if t != column.recommended][:3]
    if others:
        lines.append(
            f"of the {column.cells} cells of low, likely and high, other options are recommended: {', '.join(others)}"
        )
    lines += [f"break-even {break_even_line(b, column.options)}" for b in column.break_even]
    lines += [_api_text(a, column) for a in column.api]
    lines += [f"note: {w}" for w in column.warnings]
    return lines


def _api_text(price: ApiPrice, column: Column) -> str:
    recommended = column.recommended
    asked = f"trial {price.prompt_of}, {price.tokens_in:.1f} tokens in and {price.tokens_out:.1f} out"
    prompt = f"as measured ({asked})" if price.measured else f"with the prompt of {asked}"
    text = f"{price.model} ({price.source}) {prompt}: ${dollars(float(price.usd_per_1k))} per 1k"
    text += f" [{dollars(float(price.low))} - {dollars(float(price.high))}]" if price.low != price.high else ""
    text += f", {money(float(price.usd_per_month))} a month"
    text += "" if price.measured else "; its quality was not measured"
    if recommended is None:
        return text
    if price.measured and price.prompt_of == recommended:
        return text + "; it is the recommended option"
    if price.cheaper_from is None:
        return text + "; the recommended option costs more at every volume"
    if price.cheaper_from == 0:
        return text + "; the recommended option costs less at every volume"
    text += f"; the recommended option costs less from {count_text(price.cheaper_from)} queries a month"
    saved = 0.0 if column.chosen is None else float(column.chosen.usd_per_month - price.usd_per_month)
    if saved < LEAST_SAVING_USD or price.measured:
        return text
    return (
        text + f". Here it would save {money(saved)} a month, if it is as good: name it in models: to have it measured"
    )
