"""How good a whole frontier is: hypervolume against a stated reference point, over spend, and attained over runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autoadapt.domain.strict import StrictModel
from autoadapt.domain.trial_row import TrialRow
from autoadapt.errors import Exit, UserError
from autoadapt.surrogates.dominance import non_dominated
from autoadapt.surrogates.improvement import hypervolume

BEYOND = 2.0
"""The reference lies beyond the greatest cost and latency by this factor, or the extremes would count for nothing."""


class Reference(StrictModel):
    """The box in which a hypervolume is told: cost and latency by their logarithm, quality as it is."""

    quality: float
    cost_usd_per_1k: float
    latency_ms: float
    """The worst that counts."""
    best_quality: float
    best_cost_usd_per_1k: float
    best_latency_ms: float
    """The opposite corner: a frontier that reached it would have a hypervolume of 1."""

    @property
    def told(self) -> str:
        """In a line."""
        return (
            f"reference point quality {self.quality:g}, ${self.cost_usd_per_1k:.2g} per 1k, {self.latency_ms:.3g} ms; "
            f"a hypervolume of 1 would be quality {self.best_quality:g} at ${self.best_cost_usd_per_1k:.2g} per 1k and "
            f"{self.best_latency_ms:.3g} ms; cost and latency by their logarithm"
        )


def measured(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """The trials of a hypervolume: all of the work was done."""
    return [r for r in rows if r.state == "complete" and r.quality is not None and r.cost_usd_per_1k and r.latency_ms]


def reference_of(rows: Sequence[TrialRow]) -> Reference:
    """The box that holds all of these trials; the same for all runs that are compared.

    Raises:
        UserError: none was measured in full.
    """
    kept = measured(rows)
    if not kept:
        raise UserError("no trial was measured in full, so there is no frontier", Exit.PARTIAL)
    costs = [float(r.cost_usd_per_1k or 0) for r in kept]
    latencies = [float(r.latency_ms or 0) for r in kept]
    return Reference(
        quality=0.0,
        cost_usd_per_1k=BEYOND * max(costs),
        latency_ms=BEYOND * max(latencies),
        best_quality=1.0,
        best_cost_usd_per_1k=min(costs),
        best_latency_ms=min(latencies),
    )


def points(rows: Sequence[TrialRow], by: str = "quality") -> Any:
    """Quality, log10 cost, log10 latency of the trials measured in full, shape (n, 3).

    Args:
        rows: trials.
        by: `quality`, or `test_quality` for those re-scored.
    """
    kept = [r for r in measured(rows) if getattr(r, by) is not None]
    found = [[getattr(r, by), np.log10(r.cost_usd_per_1k or 1), np.log10(r.latency_ms or 1)] for r in kept]
    return np.array(found, dtype=float).reshape(-1, 3)


def share(found: Any, reference: Reference) -> float:
    """Hypervolume of points as of `points`, over that of the box; from 0 to 1."""
    worst = (reference.quality, float(np.log10(reference.cost_usd_per_1k)), float(np.log10(reference.latency_ms)))
    box = (
        (reference.best_quality - worst[0])
        * (worst[1] - np.log10(reference.best_cost_usd_per_1k))
        * (worst[2] - np.log10(reference.best_latency_ms))
    )
    return min(1.0, float(hypervolume(found, worst) / box)) if len(found) else 0.0  # rounding may go beyond


def over_spend(rows: Sequence[TrialRow], reference: Reference) -> list[tuple[float, float]]:
    """(USD spent, hypervolume) after each trial measured in full, in the order in which trials ended."""
    spent, reached, curve = 0.0, np.empty((0, 3)), [(0.0, 0.0)]
    for row in sorted((r for r in rows if r.ended), key=lambda r: (r.ended, r.trial)):
        spent += row.usd
        if len(found := points([row])):
            # only a point that none reached before beats in everything changes the volume
            signs = np.array([-1.0, 1.0, 1.0])
            if not (reached * signs <= found * signs).all(1).any():
                reached = np.vstack([reached, found])
                reached = reached[non_dominated(reached)]
                curve.append((spent, share(reached, reference)))
    if curve[-1][0] < spent:
        curve.append((spent, curve[-1][1]))
    return curve


def front(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """The trials that no other dominates by what was measured, by falling quality."""
    kept = measured(rows)
    flags = non_dominated([(r.quality, r.cost_usd_per_1k, r.latency_ms) for r in kept])
    return sorted((r for r, flag in zip(kept, flags, strict=True) if flag), key=lambda r: -(r.quality or 0))


def by_method(rows: Sequence[TrialRow]) -> Mapping[str, list[TrialRow]]:
    """The frontier of each method alone."""
    methods = sorted({r.method for r in measured(rows)})
    return {m: front([r for r in rows if r.method == m]) for m in methods}


def attainment(runs: Sequence[Sequence[TrialRow]], other: str, levels: Sequence[float] = ()) -> list[dict[str, float]]:
    """Which quality at which cost (or latency) was reached by what share of runs (da Fonseca et al. 2001; by moocore).

    Args:
        runs: the trials of each run of one task.
        other: `cost_usd_per_1k` or `latency_ms`.
        levels: shares of runs, 0 to 1; empty: every possible one.

    Returns:
        Corners of the attainment surfaces: quality, the other figure, share.

    Raises:
        UserError: the package moocore is not installed.
    """
    try:
        import moocore
    except ImportError as error:
        raise UserError("attainment needs a package: pip install 'autoadapt[research]'", Exit.ENVIRONMENT) from error
    rows, sets = [], []
    for i, run in enumerate(runs):
        for row in measured(run):
            rows.append([-(row.quality or 0.0), getattr(row, other)])
            sets.append(i + 1)
    if not rows:
        return []
    corners = moocore.eaf(np.array(rows), sets=np.array(sets), percentiles=[100 * level for level in levels])
    return [{"quality": -float(q), other: float(x), "share": float(p) / 100} for q, x, p in corners]
