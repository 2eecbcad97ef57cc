"""Where candidates stand in the joint space, in the form in which several Gaussian processes look at them.

What depends on the points alone is worked out once for all of them: which points are of which arm, which rows of the
shared columns differ, and choices as columns of zeros and ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

ABSENT = -1.0
"""Column value of a categorical parameter that does not apply; a numeric one stands in the middle."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a point are what.

    Args:
        categorical: shape (d,), bool.
        shared: indices of the columns that every arm has.
        of_arm: for each arm, indices of its columns, the shared ones included.
        choices: shape (d,), how many choices each categorical column has; their values are 0, 1 and so on.
        model: index of the column that names the base model; None where there is one model.
        steep: shape (d,), bool: ranges of orders of magnitude, such as learning rates, on which a value depends most.
    """

    categorical: Any
    shared: Any
    of_arm: tuple[Any, ...]
    choices: Any
    model: int | None = None
    steep: Any = None

    @cached_property
    def parts(self) -> list["Part"]:
        """The shared columns, then those of each arm."""
        return [Part(np.asarray(part, int), self.categorical, self.choices) for part in (self.shared, *self.of_arm)]


class Part:
    """Some columns of a point, between which squared distances are added up.

    Args:
        columns: their indices.
        categorical: shape (d,), bool, of all columns.
        choices: shape (d,), of all columns.
    """

    def __init__(self, columns: Any, categorical: Any, choices: Any) -> None:
        self.columns = columns
        number = ~categorical[columns]
        kinds = np.flatnonzero(~number)
        each = [np.arange(ABSENT, choices[columns[i]]) for i in kinds.tolist()]
        several = np.repeat(kinds, [len(values) for values in each])
        self._numeric, self._kinds = columns[number], columns[several]
        self._values = np.concatenate([np.empty(0), *each])
        self._source = np.concatenate([np.flatnonzero(number), several])
        self._factor = np.where(number, 1.0, 0.5)[self._source]

    def encode(self, points: Any) -> Any:
        """Numbers as they are, then a 1 for the choice of each column and 0 for its others, shape (m, D).

        Args:
            points: shape (m, d).
        """
        return np.concatenate([points[:, self._numeric], points[:, self._kinds] == self._values], axis=1)

    def factors(self, inverse_lengths: Any) -> Any:
        """Factors of encoded columns, shape (D,): then a number counts its squared difference over its squared length,
        and a choice half as much as a difference of 1.

        Args:
            inverse_lengths: of each column, shape (columns,).
        """
        return inverse_lengths[self._source] * self._factor


class Places:
    """Points of arms.

    Args:
        columns: see `Columns`.
        points: shape (m, d); numeric columns in [0, 1], categorical ones as whole numbers.
        arms: shape (m,), index of each point's arm.
    """

    def __init__(self, columns: Columns, points: Any, arms: Any) -> None:
        self.columns, self.points, self.arms = columns, np.asarray(points, float), np.asarray(arms)

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def together(cls, several: Sequence["Places"]) -> "Places":
        """The points of several, in their order; at least one."""
        points, arms = [p.points for p in several], [p.arms for p in several]
        return cls(several[0].columns, np.concatenate(points), np.concatenate(arms))

    @cached_property
    def of_arm(self) -> list[Any]:
        """Indices of the points of each arm."""
        return [np.flatnonzero(self.arms == arm) for arm in range(len(self.columns.of_arm))]

    @property
    def rows(self) -> Any:
        """Index of a point of each different row of the shared columns, shape (u,)."""
        return self._distinct[0]

    @property
    def row_of(self) -> Any:
        """Index of each point's row among the different rows of the shared columns, shape (m,)."""
        return self._distinct[1]

    @cached_property
    def encoded(self) -> list[Any]:
        """Encoded columns: of a point of each different row of the shared columns, then of the points of each arm."""
        at = [self.rows, *self.of_arm]
        return [part.encode(self.points[i]) for part, i in zip(self.columns.parts, at, strict=True)]

    @cached_property
    def members(self) -> Any:
        """1 where a point has a row, shape (m, u)."""
        members = np.zeros((len(self), len(self.rows)))
        members[np.arange(len(self)), self.row_of] = 1.0
        return members

    @cached_property
    def _distinct(self) -> tuple[Any, Any]:
        """`rows` and `row_of`."""
        shared = self.points[:, self.columns.parts[0].columns]
        order = np.lexsort(shared.T)
        new = np.r_[True, (shared[order[1:]] != shared[order[:-1]]).any(axis=1)]
        row_of = np.empty(len(shared), int)
        row_of[order] = np.cumsum(new) - 1
        return order[new], row_of
