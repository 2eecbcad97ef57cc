"""Candidates of one arm side by side, of which a decision will name one."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.surrogates.parameters import Parameter
from autoadapt.surrogates.places import Places

PASSES = ("num_train_epochs", "pairs_per_row")
"""Parameters of which `Candidate.passes` is made."""


class Pool:
    """Candidates as points. Those that were drawn are built when they are asked for: most never are.

    Args:
        drawn: where the drawn candidates stand.
        units: of each, a number in [0, 1) for every parameter that applies, and None for the others.
        parameters: of the arm.
        build: makes a candidate of the index of its model and its numbers.
    """

    def __init__(
        self,
        drawn: Places,
        units: Sequence[Sequence[float | None]],
        parameters: Sequence[Parameter],
        build: Callable[[int, Sequence[float | None]], Candidate],
    ) -> None:
        self._drawn, self._points, self._units, self._build = drawn, [drawn.points], units, build
        self._others: list[Candidate] = []
        self._passes = [(i, p) for i, p in enumerate(parameters) if p.name in PASSES]

    def __len__(self) -> int:
        return len(self._units) + len(self._others)

    def __getitem__(self, index: int) -> Candidate:
        if index < len(self._units):
            return self._build(int(self._points[0][index, 0]), self._units[index])
        return self._others[index - len(self._units)]

    def extend(self, candidates: Iterable[Candidate], columns_of: Callable[[Candidate], Sequence[float]]) -> None:
        """Adds candidates of the same arm.

        Args:
            candidates: any number of them.
            columns_of: gives their points.
        """
        added = list(candidates)
        if added:
            self._others += added
            self._points.append(np.array([columns_of(c) for c in added]))

    @property
    def places(self) -> Places:
        """Where all candidates stand."""
        arms = np.full(len(self), self._drawn.arms[0])
        return Places(self._drawn.columns, np.concatenate(self._points), arms)

    @property
    def passes(self) -> Any:
        """Passes over the training rows of each candidate, shape (m,): see `Candidate.passes`."""
        drawn = np.ones(len(self._units))
        for i, parameter in self._passes:
            drawn *= [
                1.0 if (unit := units[i]) is None else float(parameter.value(unit) or 1.0) for units in self._units
            ]
        return np.concatenate([drawn, [c.passes for c in self._others]])
