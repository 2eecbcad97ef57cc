"""Few-shot examples drawn at random."""

import random
from collections.abc import Callable, Sequence

from autoadapt.domain.plugins import Selector
from autoadapt.domain.rows import Row


class Random(Selector):
    """The same random rows for every query, so that a server may keep them computed."""

    def prepare(self, rows: Sequence[Row], shots: int, seed: int) -> Callable[[str], list[Row]]:
        chosen = random.Random(seed).sample(list(rows), min(shots, len(rows)))
        return lambda query: chosen
