"""Candidates of one arm side by side, of which a decision will name one."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autoadapt.domain.candidate import Candidate, Params
from autoadapt.surrogates.drawing import Drawn
from autoadapt.surrogates.places import Places


class Pool:
    """Candidates as points. Those that were drawn are built when they are asked for: most never are.

    Args:
        places: where all candidates stand.
        drawn: the first of them, in parts.
        others: the rest.
        build: makes a candidate of the index of its model and its parameters.
    """

    def __init__(
        self,
        places: Places,
        drawn: Sequence[Drawn],
        others: Sequence[Candidate],
        build: Callable[[int, Params], Candidate],
        rows: int = 0,
    ) -> None:
        self.places, self._drawn, self._others, self._build, self._rows = places, drawn, others, build, rows

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Candidate:
        for part in self._drawn:
            if index < len(part):
                return self._build(int(part.models[index]), part.params(index))
            index -= len(part)
        return self._others[index]

    @property
    def passes(self) -> Any:
        """Passes over the training rows of each candidate, shape (m,): see `Candidate.passes_over`."""
        return np.concatenate(
            [*(part.passes for part in self._drawn), np.array([c.passes_over(self._rows) for c in self._others])]
        )
