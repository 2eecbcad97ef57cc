"""Few-shot examples drawn at random."""

import random
from collections.abc import Sequence
from typing import ClassVar

from autoadapt.domain.rows import Row
from autoadapt.domain.selector import Select, Selector


class Random(Selector):
    """The same random rows for every query, so that a server may keep them computed."""

    same_for_every_query: ClassVar[bool] = True

    def prepare(self, rows: Sequence[Row], shots: int, seed: int) -> Select:
        chosen = random.Random(seed).sample(list(rows), min(shots, len(rows)))
        return lambda query: chosen
