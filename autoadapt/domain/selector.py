"""Selector: which training rows become few-shot examples. The shelf ``selectors/`` holds one per file."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from autoadapt.domain.rows import Row

Select = Callable[[str], list[Row]]
"""From a query's text to its examples."""


class Selector(ABC):
    """Which training rows become few-shot examples."""

    same_for_every_query: ClassVar[bool] = False
    """Whether all queries get the same examples; an artifact then holds these alone and not all training rows."""

    @abstractmethod
    def prepare(self, rows: Sequence[Row], shots: int, seed: int) -> Select:
        """Returns a function from a query's text to `shots` examples (fewer where there are fewer rows)."""
