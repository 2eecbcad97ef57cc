"""Few-shot examples that show every label about as often."""

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from autoadapt.domain.rows import Row
from autoadapt.domain.selector import Select, Selector


class Balanced(Selector):
    """The same rows for every query: labels in random order, one row of each in turn."""

    same_for_every_query: ClassVar[bool] = True

    def prepare(self, rows: Sequence[Row], shots: int, seed: int) -> Select:
        rng = random.Random(seed)
        by_output: dict[str, list[Row]] = defaultdict(list)
        for row in rng.sample(list(rows), len(rows)):
            by_output[row.outputs[0]].append(row)
        queues = list(by_output.values())
        chosen: list[Row] = []
        while queues and len(chosen) < shots:
            chosen += [queue.pop() for queue in queues[: shots - len(chosen)]]
            queues = [queue for queue in queues if queue]
        rng.shuffle(chosen)
        return lambda query: chosen
