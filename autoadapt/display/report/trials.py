"""The report's table of trials."""

from collections.abc import Sequence
from typing import Any

from autoadapt.display.goals import further_goals
from autoadapt.domain.candidate import params_line
from autoadapt.domain.objective import Goal
from autoadapt.domain.trial_row import TrialRow
from autoadapt.shown_text import printable

LONGEST = 400
"""Characters of a cell, and of a row of data, that are shown."""
Column = tuple[str, str, bool]
"""Key, title, and whether it holds numbers."""


def trial_columns(goals: tuple[Goal, ...]) -> tuple[Column, ...]:
    """Columns of the table; every objective beyond the default ones has its own."""
    return (
        *(("trial", "trial", True), ("state", "state", False), ("method", "method", False), ("model", "model", False)),
        *(("quality", "quality", True), ("test_quality", "test", True), ("cost_usd_per_1k", "$ per 1k", True)),
        ("latency_ms", "latency ms", True),
        *((goal.name, goal.title, True) for goal in further_goals(goals)),
        *(("rows", "rows", True), ("train_seconds", "train s", True), ("usd", "spent $", True)),
        *(("params", "parameters", False), ("reason", "reason", False)),
    )


def trial_cells(row: TrialRow, columns: Sequence[Column]) -> dict[str, Any]:
    """One trial: `on_frontier`, and `values` in the order of the columns (texts cut, numbers to six figures)."""
    fields: dict[str, Any] = {**row.values, **dict(row), "params": params_line(row.params), "reason": _reason(row)}
    return {"on_frontier": row.on_frontier, "values": [_cell(fields.get(key)) for key, _, _ in columns]}


def _reason(row: TrialRow) -> str:
    reason = f"same as trial {row.same_as}" if row.same_as is not None else (row.reason or "")
    return reason if row.failure is None else f"{row.failure} in {row.stage}: {reason}"


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return printable(str(value))[:LONGEST]
    return float(f"{value:.6g}") if isinstance(value, float) else value
