"""A recommendation by weights of the objectives."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoadapt.domain.objective import DEFAULT_GOALS, SHARE, Goal
from autoadapt.domain.option import Option, Recommendation
from autoadapt.domain.task import Constraints
from autoadapt.errors import UserError, did_you_mean
from autoadapt.verdict.comparisons import SAME_COST, TOLERANCES
from autoadapt.verdict.option_values import option_values
from autoadapt.verdict.recommendation import recommend, violations

LEAST = 1e-12
"""Of which the logarithm is taken in place of 0."""
CONSTANT = "majority"
"""The method that always gives the most frequent label."""
LEAST_SPAN, LEAST_RATIO = 0.1, 2.0
"""Differences that make a whole scale from 0 to 1 at least: of a share such as quality, and the ratio of an objective
on a logarithmic scale. Without them options that hardly differ in cost would be as far apart by it as the best and the
worst by quality."""


def recommend_by_weights(
    options: Sequence[Option],
    constraints: Constraints,
    weights: Mapping[str, float],
    goals: Sequence[Goal] = DEFAULT_GOALS,
) -> Recommendation:
    """The option with the greatest weighted sum of its objectives.

    Each objective is scaled from 0 (worst on the frontier) to 1 (best), on its own scale: for a logarithmic one ratios
    count. Where all options lie within a tenth, or a factor of two, they take up only the part of the scale by which
    they differ; values within measurement error of the best count as equal to it. With equal weights it is the knee of
    the frontier: the option farthest from the plane through its extremes (Das 1999, On characterizing the knee of the
    Pareto curve).

    Options that are no better than always giving the most frequent label are left out where there are others.

    Args:
        options: measured options.
        constraints: of the task or scenario.
        weights: objective -> weight; absent objectives have weight 0.
        goals: the objectives of the task.

    Raises:
        UserError: a weight is of no objective of the task, or negative, or all are 0.
    """
    weight = np.array(_checked(weights, goals))
    plain = recommend(options, constraints, None)
    fitting = [o for o in options if o.on_frontier and not violations(o, constraints)]
    # a constant answer is cheaper and faster than anything, and no weights make it an answer
    constant = max((o.quality_expected for o in options if o.method == CONSTANT), default=-math.inf)
    fitting = [o for o in fitting if o.quality_expected > constant] or fitting
    if not fitting:
        return plain
    scaled = _scaled(option_values(fitting, goals), goals)
    scores = scaled @ weight / weight.sum()
    best = int(np.argmax(scores))
    chosen = fitting[best]
    names = [_short(goal) for goal in goals]
    parts = ", ".join(f"{name} {value:.2f}" for name, value in zip(names, scaled[best], strict=True))
    how = "is the knee of the frontier" if len({*weight}) == 1 else "has the greatest weighted sum"
    ordered = sorted(scores, reverse=True)
    margin = f", {ordered[0] - ordered[1]:.2f} ahead of the next" if len(ordered) > 1 else ""
    reason = (
        f"{chosen.title} {how}: the weights of {' : '.join(names)} are "
        f"{' : '.join(f'{w:g}' for w in weight)}; on scales from 0 to 1 it has {parts}, a weighted mean of "
        f"{scores[best]:.2f}{margin}."
    )
    return plain.model_copy(update={"trial": chosen.trial, "reason": reason, "meets_constraints": True})


def _checked(weights: Mapping[str, float], goals: Sequence[Goal]) -> list[float]:
    names = [goal.name for goal in goals]
    for name in weights:
        if name not in names:
            raise UserError(f"weights: unknown objective '{name}': {did_you_mean(name, names)}")
    if any(w < 0 for w in weights.values()) or not any(weights.values()):
        raise UserError("weights must not be negative, and not all 0")
    return [float(weights.get(name, 0.0)) for name in names]


def _scaled(values: NDArray[Any], goals: Sequence[Goal]) -> NDArray[Any]:
    """Each column from 0 (worst) to 1 (best) on its goal's scale, shape (options, goals)."""
    columns = []
    for goal, column in zip(goals, values.T, strict=True):
        logarithmic = goal.scale == "log"
        scale = [math.log(max(v, LEAST)) if logarithmic else float(v) for v in column]
        gains = [v if goal.direction == "maximize" else -v for v in scale]
        best = max(gains)
        within = math.log(TOLERANCES.get(goal.name, SAME_COST)) if logarithmic else 0.0
        gains = [best if v >= best - within else v for v in gains]
        least = math.log(LEAST_RATIO) if logarithmic else LEAST_SPAN if goal.unit == SHARE else LEAST
        span = max(best - min(gains), least)
        columns.append([1 - (best - v) / span for v in gains])
    return np.array(columns).T


def _short(goal: Goal) -> str:
    """The objective's name without its unit."""
    return {"cost_usd_per_1k": "cost", "latency_ms": "latency"}.get(goal.name, goal.name)
