"""Expected gain in hypervolume when quality is uncertain and cost and latency are known.

Costs and latencies of a candidate are predictable to a few percent, so the expected hypervolume improvement of three
objectives (Emmerich et al. 2006) needs an integral over quality alone: with levels q0 > q1 > ... of the frontier's
quality, between two levels the area in the (cost, latency) plane that the candidate adds is constant, and the expected
length of quality it covers there is a difference of two one-dimensional expected improvements.
"""

from typing import Any

import numpy as np
from scipy.special import ndtr

FAR = -1e9


def expected_improvement(mean: Any, deviation: Any, level: float) -> Any:
    """E[max(0, q - level)] for q ~ N(mean, deviation^2), shape of `mean` (Jones et al. 1998)."""
    z = (mean - level) / deviation
    return deviation * (np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi) + z * ndtr(z))


def expected_hypervolume_improvement(
    mean: Any, deviation: Any, cost: Any, latency: Any, front: Any, reference: tuple[float, float, float]
) -> Any:
    """Expected gain of each candidate alone, shape (m,).

    Args:
        mean, deviation: of quality, shape (m,).
        cost, latency: known, smaller is better, shape (m,); any monotone scale, such as logarithms.
        front: shape (k, 3), columns quality, cost, latency; dominated points are allowed.
        reference: the worst quality, cost and latency that count.
    """
    worst_quality, worst_cost, worst_latency = reference
    front = np.asarray(front, float).reshape(-1, 3)
    front = front[np.argsort(-front[:, 0])]
    cost, latency = np.minimum(cost, worst_cost), np.minimum(latency, worst_latency)
    total, above = np.zeros(len(mean)), np.zeros(len(mean))
    costs, latencies = np.empty(0), np.empty(0)  # the staircase: costs rising, latencies falling
    for i in range(len(front) + 1):
        level = front[i, 0] if i < len(front) else worst_quality
        here = expected_improvement(mean, deviation, max(level, worst_quality))
        begin = np.concatenate(([FAR], costs))
        end = np.concatenate((costs, [worst_cost]))
        depth = np.concatenate(([worst_latency], latencies))
        width = np.maximum(end[None, :] - np.maximum(begin[None, :], cost[:, None]), 0)
        area = (width * np.maximum(depth[None, :] - latency[:, None], 0)).sum(1)
        total += area * np.maximum(here - above, 0)
        above = here
        if i < len(front):
            costs, latencies = _add(costs, latencies, min(front[i, 1], worst_cost), min(front[i, 2], worst_latency))
    return total


def _add(costs: Any, latencies: Any, cost: float, latency: float) -> tuple[Any, Any]:
    if np.any((costs <= cost) & (latencies <= latency)):
        return costs, latencies
    kept = ~((costs >= cost) & (latencies >= latency))
    costs, latencies = costs[kept], latencies[kept]
    at = int(np.searchsorted(costs, cost))
    return np.insert(costs, at, cost), np.insert(latencies, at, latency)


def hypervolume(front: Any, reference: tuple[float, float, float]) -> float:
    """Volume between a frontier (columns quality, cost, latency) and the reference, by sweeping quality."""
    worst_quality, worst_cost, worst_latency = reference
    front = np.asarray(front, float).reshape(-1, 3)
    front = front[np.argsort(-front[:, 0])]
    costs, latencies = np.empty(0), np.empty(0)
    total = 0.0
    for i, (quality, cost, latency) in enumerate(front):
        if quality <= worst_quality:
            break
        if cost < worst_cost and latency < worst_latency:
            costs, latencies = _add(costs, latencies, cost, latency)
        below = max(front[i + 1, 0] if i + 1 < len(front) else worst_quality, worst_quality)
        width = np.append(costs[1:], worst_cost) - costs if len(costs) else np.empty(0)
        total += (quality - below) * float((width * (worst_latency - latencies)).sum())
    return total
