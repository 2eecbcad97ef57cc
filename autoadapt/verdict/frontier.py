"""Which options no other option beats in everything."""

from collections.abc import Sequence

from autoadapt.domain.option import Objectives


def dominates(a: Objectives, b: Objectives) -> bool:
    """Whether `a` is no worse than `b` in quality, cost and latency, and better in one."""
    no_worse = a.quality >= b.quality and a.cost_usd_per_1k <= b.cost_usd_per_1k and a.latency_ms <= b.latency_ms
    better = a.quality > b.quality or a.cost_usd_per_1k < b.cost_usd_per_1k or a.latency_ms < b.latency_ms
    return no_worse and better


def non_dominated(points: Sequence[Objectives]) -> list[int]:
    """Indices of the points that no other point dominates, in order."""
    return [i for i, p in enumerate(points) if not any(dominates(q, p) for q in points)]
