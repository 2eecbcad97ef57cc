"""Expected gain in hypervolume when one objective is uncertain and the others are known.

Costs and latencies of a candidate are predictable to a few percent, so the expected hypervolume improvement (Emmerich
et al. 2006) needs an integral over the uncertain objective alone. With levels q0 > q1 > ... of the frontier's values of
it, the region of the known objectives that the candidate adds is the same anywhere between two levels, and the expected
length that the uncertain objective covers there is a difference of two one-dimensional expected improvements:

    E[gain] = sum_i region_i * (EI(q_i) - EI(q_(i-1))),   EI(q_(-1)) = 0

where region_i is the length, area or volume that the candidate dominates in the space of the known objectives and that
no point of the frontier with a value of at least q_(i-1) dominates there.
"""

from typing import Any, Protocol

import numpy as np
from scipy.special import ndtr

from autoadapt.pareto.hypervolume import hypervolume_gains

FAR = -1e9


def expected_improvement(mean: Any, deviation: Any, level: Any) -> Any:
    """E[max(0, q - level)] for q ~ N(mean, deviation^2), shape of `mean` (Jones et al. 1998).

    Args:
        mean, deviation: shape (m,).
        level: a number, or levels of shape (n, 1) for a result of shape (n, m).
    """
    z = (mean - level) / deviation
    return deviation * (np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi) + z * ndtr(z))


def expected_hypervolume_improvement(mean: Any, deviation: Any, known: Any, front: Any, reference: Any) -> Any:
    """Expected gain of each candidate alone, shape (m,).

    Args:
        mean, deviation: of the uncertain objective, greater is better, shape (m,); deviations above 0.
        known: values of the known objectives, less is better, shape (m, k), k from 1 to 4; any monotone scale.
        front: shape (n, 1 + k), the uncertain objective first; dominated points are allowed.
        reference: shape (1 + k,), the worst values that count.
    """
    worst_uncertain, worst_known = float(reference[0]), np.asarray(reference[1:], float)
    front = np.asarray(front, float).reshape(-1, 1 + len(worst_known))
    front = front[np.argsort(-front[:, 0])]
    known = np.minimum(known, worst_known)
    levels = np.maximum(np.append(front[:, 0], worst_uncertain), worst_uncertain)
    reached = expected_improvement(mean, deviation, levels[:, None])
    lengths = np.maximum(np.diff(reached, axis=0, prepend=0.0), 0)
    region, points = _region(worst_known), np.minimum(front[:, 1:], worst_known)
    total = region.added(known) * lengths[0]
    for point, length in zip(points, lengths[1:], strict=True):
        region.insert(point)
        total += region.added(known) * length
    return total


class _Region(Protocol):
    """What some points dominate in the space of the known objectives, all minimized."""

    def added(self, known: Any) -> Any:
        """Size of what each candidate adds alone, shape (m,), for candidates of shape (m, k)."""

    def insert(self, point: Any) -> None:
        """Takes a point of shape (k,) into the dominated region."""


def _region(worst: Any) -> _Region:
    """An empty region that the worst values bound."""
    kinds: dict[int, type[_Interval] | type[_Staircase]] = {1: _Interval, 2: _Staircase}
    return kinds.get(len(worst), _Volume)(worst)


class _Interval:
    """One known objective: all beyond the least value is dominated."""

    def __init__(self, worst: Any) -> None:
        self.least = float(worst[0])

    def added(self, known: Any) -> Any:
        return np.maximum(self.least - known[:, 0], 0)

    def insert(self, point: Any) -> None:
        self.least = min(self.least, float(point[0]))


class _Staircase:
    """Two known objectives: corners with rising x and falling y."""

    def __init__(self, worst: Any) -> None:
        self.worst_x, self.worst_y = float(worst[0]), float(worst[1])
        self.corners: list[tuple[float, float]] = []
        self._added: Any = None
        """To the same candidates at the last level; the region has not grown since."""

    def added(self, known: Any) -> Any:
        if self._added is None:
            x, y = [x for x, _ in self.corners], [y for _, y in self.corners]
            begin, end, depth = np.array([FAR, *x]), np.array([*x, self.worst_x]), np.array([self.worst_y, *y])
            width = np.maximum(end - np.maximum(begin, known[:, :1]), 0)
            self._added = (width * np.maximum(depth - known[:, 1:], 0)).sum(1)
        return self._added

    def insert(self, point: Any) -> None:
        x, y = map(float, point)
        if any(a <= x and b <= y for a, b in self.corners):
            return
        self._added = None
        self.corners = sorted([*((a, b) for a, b in self.corners if not (a >= x and b >= y)), (x, y)])


class _Volume:
    """Three and four known objectives: hypervolumes with and without the candidate."""

    def __init__(self, worst: Any) -> None:
        self.worst = worst
        self.points = np.empty((0, len(worst)))
        self._gains: Any = None
        """Of the same candidates at the last level; the region has not grown since."""

    def added(self, known: Any) -> Any:
        if self._gains is None:
            self._gains = hypervolume_gains(known, self.points, self.worst)
        return self._gains

    def insert(self, point: Any) -> None:
        if (self.points <= point).all(axis=1).any():
            return
        not_dominated = ~(self.points >= point).all(axis=1)
        self.points = np.vstack([self.points[not_dominated], point])
        self._gains = None
