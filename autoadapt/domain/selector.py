"""Selector: which training rows become few-shot examples. The shelf ``selectors/`` holds one per file."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from autoadapt.domain.documents import NO_PASSAGES, Passages
from autoadapt.domain.rows import Row

Select = Callable[[str], list[Row]]
"""From a query's text to its examples."""
Order = Literal["best_last", "best_first", "by_label"]
"""Order of examples in a prompt: as a selector gives them, reversed, or grouped by their answers."""
Vectors = Any
"""An array of numbers, shape (texts, width); every row has length 1."""


class Selector(ABC):
    """Which training rows become few-shot examples."""

    same_for_every_query: ClassVar[bool] = False
    """Whether all queries get the same examples; an artifact then holds these alone and not all training rows."""
    needs_vectors: ClassVar[bool] = False
    """Whether it compares vectors that the model makes of texts; what `prepare` returns is then `ComparesVectors`."""

    @abstractmethod
    def prepare(self, rows: Sequence[Row], shots: int, seed: int) -> Select:
        """Returns a function from a query's text to `shots` examples (fewer where there are fewer rows).

        Where some are better than others the best stands last, next to the question.
        """


@runtime_checkable
class ComparesVectors(Protocol):
    """A function from a query's text to its examples that has to be given vectors first."""

    def __call__(self, query: str) -> list[Row]: ...

    def use(self, vectors: Vectors, vector_of: Callable[[str], Vectors]) -> None:
        """Takes the vectors of its rows.

        Args:
            vectors: of its rows, in their order.
            vector_of: gives that of a query, shape (width,).
        """
        ...


class PromptChoices(ABC):
    """What a prompt shows of a task's rows, labels and documents; called with a query's text it gives the examples.

    A family of models that reads prompts is given it as its `select`. Where `needs_vectors` is true the family calls
    `use` once before it asks for examples.
    """

    rows: Sequence[Row]
    """All training rows to choose from."""
    needs_vectors: bool
    """Whether examples are chosen by vectors that the model makes."""

    @abstractmethod
    def __call__(self, query: str) -> list[Row]:
        """The examples of a query, in the order in which they are shown."""

    @abstractmethod
    def offered(self, query: str) -> list[str]:
        """The labels that a query's prompt offers, the most likely first; empty: all of the task."""

    @abstractmethod
    def passages(self, query: str) -> Passages:
        """The passages of documents that a query's prompt shows."""

    @abstractmethod
    def use(self, vectors: Vectors, embed: Callable[[Sequence[str]], Vectors]) -> None:
        """Takes the vectors of `rows`.

        Args:
            vectors: of all rows, in their order.
            embed: gives those of texts.
        """

    @abstractmethod
    def expect(self, queries: Sequence[str]) -> None:
        """Computes at once what is needed of many queries that are asked next."""


def labels_offered(select: Select | None, query: str) -> list[str]:
    """The labels that a query's prompt offers, the most likely first; empty: all of the task."""
    return select.offered(query) if isinstance(select, PromptChoices) else []


def passages_shown(select: Select | None, query: str) -> Passages:
    """The passages of documents that a query's prompt shows."""
    return select.passages(query) if isinstance(select, PromptChoices) else NO_PASSAGES
