"""Which options no other option beats in everything."""

from collections.abc import Sequence

from autoadapt.domain.option import Objectives
from autoadapt.surrogates import dominance


def non_dominated(points: Sequence[Objectives]) -> list[int]:
    """Indices of the points that no other point dominates, in order."""
    kept = dominance.non_dominated([(p.quality, p.cost_usd_per_1k, p.latency_ms) for p in points])
    return [i for i, keep in enumerate(kept) if keep]
