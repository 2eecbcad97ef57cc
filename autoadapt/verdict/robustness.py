"""How far quality depends on wording and spelling, with the variance that the choice of rows adds taken out.

The greatest of several measured losses, and the spread of several measured qualities, are too great on average even
where no wording matters, because every quality is measured on a sample of rows. So the spread is a variance component:
quality of a row under a wording is taken as ``mean + wording + row + rest``, all of them random, and the variance of
``wording`` is estimated by ``(MSW - MSE) / rows`` with the mean squares of wordings and of the rest of the two-way
analysis of variance (Henderson 1953, method 1; Searle, Casella and McCulloch 1992, "Variance components", chapter 4),
0 where it would be negative. All wordings answer the same rows, so that easy and hard rows are no part of it. Its
interval follows from the F distribution of MSW / MSE.

A metric that is no mean over rows, such as macro F1, is replaced by its jackknife pseudo-values, one of every row
(Tukey 1958; Miller 1974, "The jackknife - a review"); those of a mean are the rows' own scores.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoadapt.domain.metric import Metric
from autoadapt.domain.option import Scored
from autoadapt.domain.robustness import (
    ROW_KINDS,
    WORDING_KINDS,
    KindLoss,
    PerturbationKind,
    Robustness,
    Spread,
    VariantScores,
)

RESAMPLES = 1000
KIND_NAMES: dict[PerturbationKind, str] = {
    "instruction": "a reworded instruction",
    "label_order": "another order of the labels",
    "separators": "other separators",
    "shot_order": "another order of the examples",
    "shot_draw": "other examples",
    "typos": "typing errors",
    "case": "other capitals and punctuation",
}
ENDS = (2.5, 97.5)
LEAST_WORDINGS = 2
"""From which a spread is estimated."""
Array = NDArray[Any]


def robustness(metric: Metric, own: Array, variants: Sequence[VariantScores], seed: int = 0) -> Robustness | None:
    """What perturbations of an option cost; None: it was not scored on as many rows as they were.

    Args:
        metric: of the task.
        own: statistics of the option as it is, shape (rows, statistics), in the split's order.
        variants: scored on the first of these rows.
        seed: of the resamples.
    """
    rows = len(variants[0].stats)
    if len(own) < rows:
        return None
    as_it_is = row_values(metric, np.asarray(own)[:rows])
    values = {v.name: row_values(metric, np.array(v.stats, dtype=float)) for v in variants}
    by_kind: dict[PerturbationKind, dict[str, Array]] = {}
    for variant in variants:
        by_kind.setdefault(variant.kind, {})[variant.name] = as_it_is - values[variant.name]
    wordings = [values[v.name] for v in variants if v.kind in WORDING_KINDS]
    return Robustness(
        rows=rows,
        kinds=[_loss(kind, by_kind[kind], seed) for kind in (*WORDING_KINDS, *ROW_KINDS) if kind in by_kind],
        spread=spread(np.array(wordings)) if len(wordings) >= LEAST_WORDINGS else None,
    )


def row_values(metric: Metric, stats: Array) -> Array:
    """A number of every row of which the mean is the metric (about that where it is no mean): its pseudo-value.

    Args:
        metric: of the task.
        stats: shape (rows, statistics).
    """
    scores: Array = stats[:, 0]
    whole, rows = metric.value(stats), len(stats)
    if rows < 2 or math.isclose(whole, float(scores.mean()), abs_tol=1e-12):
        return scores
    without = np.array([metric.value(np.delete(stats, i, axis=0)) for i in range(rows)])
    values: Array = rows * whole - (rows - 1) * without
    values += whole - values.mean()
    return values


def greatest_loss(option: Scored) -> float:
    """Points that an option may lose under the kind of perturbation that may cost most; infinite: that is not known."""
    return math.inf if option.robustness is None else 100 * option.robustness.worst_kind.high


def robustness_violations(option: Scored, limit: float | None) -> list[str]:
    """Why an option does not satisfy `constraints.robustness_points`, as a clause; empty: it does, or there is none."""
    if limit is None or greatest_loss(option) <= limit:
        return []
    if option.robustness is None:
        return ["what perturbations cost it is unknown (it was not scored under them)"]
    worst = option.robustness.worst_kind
    lost = loss_text(worst.mean, worst.low, worst.high)
    return [f"{KIND_NAMES[worst.kind]} may cost it more than {limit:g} points ({lost})"]


def spread_text(found: Spread) -> str:
    """Such as ``2.1 points [0.0, 5.0]``."""
    return loss_text(found.deviation, found.low, found.high)


def loss_text(loss: float, low: float, high: float) -> str:
    """A loss with its interval, such as ``2.1 points [-0.5, 5.0]``; below 0 it is a gain."""
    numbers = [round(100 * value, 1) + 0.0 for value in (loss, low, high)]  # never a negative zero
    return f"{numbers[0]:.1f} points [{numbers[1]:.1f}, {numbers[2]:.1f}]"


def robustness_clauses(found: Robustness) -> list[str]:
    """What perturbations cost, in clauses: the spread among wordings, the kind of wording that costs most, and rows."""
    clauses = []
    if found.spread is not None:
        clauses.append(f"{found.spread.wordings} other wordings of its prompt spread by {spread_text(found.spread)}")
    wordings = [kind for kind in found.kinds if kind.kind in WORDING_KINDS]
    costly = [max(wordings, key=lambda kind: kind.mean)] if wordings else []
    costly += [kind for kind in found.kinds if kind.kind == "typos"]
    return clauses + [f"{KIND_NAMES[kind.kind]} cost {loss_text(kind.mean, kind.low, kind.high)}" for kind in costly]


def robustness_sentence(found: Robustness) -> str:
    """All of it in words."""
    losses = [f"{KIND_NAMES[kind.kind]} {loss_text(kind.mean, kind.low, kind.high)}" for kind in found.kinds]
    worst = max(found.kinds, key=lambda kind: kind.worst)
    text = (
        f"On {found.rows:,} test rows perturbations cost on average: {', '.join(losses)}. The one that cost most is "
        f"'{worst.worst_name}': {loss_text(worst.worst, worst.worst_low, worst.worst_high)}."
    )
    if found.spread is None:
        return text
    return (
        f"{text} The quality of {found.spread.wordings} other wordings of its prompt has a standard deviation of "
        f"{spread_text(found.spread)}, without what the choice of rows adds to it (with it "
        f"{100 * found.spread.observed:.1f})."
    )


def _loss(kind: PerturbationKind, losses: dict[str, Array], seed: int) -> KindLoss:
    names = list(losses)
    table = np.array([losses[name] for name in names])
    worst = int(table.mean(axis=1).argmax())
    low, high = loss_interval(table.mean(axis=0), seed)
    worst_low, worst_high = loss_interval(table[worst], seed)
    return KindLoss(
        kind=kind,
        variants=len(names),
        mean=float(table.mean()),
        low=low,
        high=high,
        worst=float(table[worst].mean()),
        worst_low=worst_low,
        worst_high=worst_high,
        worst_name=names[worst],
    )


def loss_interval(losses: Array, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of a mean loss: percentiles of a bootstrap over rows.

    Where no row differs, it is the largest share of rows that may differ all the same (exact binomial bound).

    Args:
        losses: of every row.
        seed: of the resamples.
    """
    rows, mean = len(losses), float(losses.mean())
    if not losses.any():
        most = no_difference_bound(rows)
        return -most, most
    drawn = np.random.default_rng(seed).integers(rows, size=(RESAMPLES, rows))
    low, high = np.percentile(losses[drawn].mean(axis=1), ENDS)
    return min(float(low), mean), max(float(high), mean)


def no_difference_bound(rows: int) -> float:
    """The share of rows that may differ, with 97.5 %, where none of so many does."""
    return float(1 - 0.025 ** (1 / rows))


def spread(values: Array) -> Spread:
    """The standard deviation of quality among wordings, without what the choice of rows adds to it.

    Args:
        values: of every row under every wording, shape (wordings, rows); at least two of each.
    """
    from scipy.stats import f

    wordings, rows = values.shape
    means = values.mean(axis=1)
    rest = values - means[:, None] - values.mean(axis=0)[None, :] + values.mean()
    between = rows * float(means.var(ddof=1))
    within = float((rest**2).sum()) / ((wordings - 1) * (rows - 1))
    degrees = (wordings - 1, (wordings - 1) * (rows - 1))
    if within <= 1e-12:  # no row differs from another in how wordings change it
        deviation = math.sqrt(between / rows)
        low, high = deviation, max(deviation, no_difference_bound(rows))
    else:
        deviation = math.sqrt(max(0.0, between - within) / rows)
        ends = (float(between / f.ppf(share, *degrees)) for share in (0.975, 0.025))
        low, high = (math.sqrt(max(0.0, end - within) / rows) for end in ends)
    return Spread(
        wordings=wordings,
        deviation=deviation,
        low=min(low, deviation),
        high=max(high, deviation),
        observed=float(means.std(ddof=1)),
    )
