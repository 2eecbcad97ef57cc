"""Objectives of trials and options as they are shown."""

from itertools import combinations
from typing import TYPE_CHECKING

from autoadapt.domain.objective import DEFAULT_GOALS, Goal
from autoadapt.domain.option import Option
from autoadapt.domain.trial_row import TrialRow
from autoadapt.errors import UserError, did_you_mean
from autoadapt.verdict.option_values import option_value

if TYPE_CHECKING:
    from autoadapt.runs.study import Study


def pairs(study: "Study") -> list[tuple[Goal, Goal]]:
    """Every pair of a study's objectives as (x, y); the one that is estimated from rows is drawn upwards."""
    return [(b, a) if a.uncertain else (a, b) for a, b in combinations(study.goals, 2)]


def goal_named(study: "Study", name: str) -> Goal:
    """An objective of a study.

    Raises:
        UserError: it has no such objective.
    """
    goals = {goal.name: goal for goal in study.goals}
    if name not in goals:
        raise UserError(f"this study has no objective '{name}': {did_you_mean(name, goals)}")
    return goals[name]


def shown_value(row: TrialRow, option: Option | None, goal: Goal) -> float | None:
    """An objective of a trial: quality on test rows where scored, cost and latency of an option as in the tables.

    Args:
        row: the trial.
        option: the same trial, if it is on the frontier or the baseline.
        goal: the objective.
    """
    if goal.name == "quality":
        return row.test_quality if row.test_quality is not None else row.quality
    if option is not None:
        return option_value(option, goal.name)
    return row.values.get(goal.name)


def further_goals(goals: tuple[Goal, ...]) -> list[Goal]:
    """The objectives of a task beyond the default ones, which every table shows anyway."""
    default = {goal.name for goal in DEFAULT_GOALS}
    return [goal for goal in goals if goal.name not in default]


def goal_text(option: Option, goal: Goal) -> str:
    """An option's value of an objective, with four significant figures."""
    return f"{option_value(option, goal.name):.4g}"


def cost_unit(study: "Study") -> tuple[float, str]:
    """By what USD per 1,000 queries are multiplied where they are drawn, and the title of that axis.

    Dollars a month, unless every option comes to less than a dollar: then USD per million queries, which can be read.
    """
    queries = study.task.economics.queries_per_month
    most = max((o.cost_usd_per_1k for o in study.options), default=0.0) * queries / 1000
    if most >= 1:
        return queries / 1000, f"dollars a month, for {queries:,} queries"
    return 1000.0, "dollars per million queries"
