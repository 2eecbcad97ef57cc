"""Scenarios as CSV."""

from collections.abc import Sequence

from autoadapt.display.goals import further_goals
from autoadapt.domain.comparison import Column, Priced
from autoadapt.domain.objective import DEFAULT_GOALS, Goal
from autoadapt.domain.option import Option
from autoadapt.files import inert
from autoadapt.verdict.option_values import option_value


def comparison_csv(columns: Sequence[Column], goals: tuple[Goal, ...] = DEFAULT_GOALS) -> str:
    """One row per scenario and option; texts that a spreadsheet would run are quoted.

    Args:
        columns: one per scenario.
        goals: the objectives of the task; those beyond the default ones get a column each.
    """
    import pandas

    rows = [
        _row(column, option, priced, goals)
        for column in columns
        for option, priced in zip(column.options, column.priced, strict=True)
    ]
    return str(pandas.DataFrame(rows, dtype=object).map(inert).to_csv(index=False)) if rows else ""


def _row(column: Column, option: Option, priced: Priced, goals: tuple[Goal, ...]) -> dict[str, object]:
    terms = column.terms
    return {
        "scenario": terms.name,
        "trial": option.trial,
        "method": option.method,
        "recommended": option.trial == column.recommended,
        "on_frontier": option.on_frontier,
        "validation_quality": option.quality,
        "test_quality": option.test_quality,
        "usd_per_month": priced.usd_per_month,
        "usd_per_1k": priced.usd_per_1k,
        "serving_usd_per_month": priced.serving_usd_per_month,
        "training_usd": priced.training_usd,
        "replicas": priced.replicas,
        "requests_per_s": priced.requests_per_s,
        "rate_measured": priced.rate_measured,
        "latency_p95_ms": priced.latency_p95_ms,
        "within_target": priced.within_target,
        "cells_won": column.winners.get(option.trial, 0),
        "queries_per_month": terms.volumes[1],
        "hour_usd": terms.hour_usd[1],
        "training_hour_usd": terms.training_hour_usd,
        "hosting": terms.scenario.hosting,
        **{g.name: option_value(option, g.name) for g in further_goals(goals)},
    }
