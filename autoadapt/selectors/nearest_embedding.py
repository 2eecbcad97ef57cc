"""Few-shot examples whose vectors are most like the query's (Liu et al. 2022, KATE)."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from autoadapt.domain.rows import Row
from autoadapt.domain.selector import Select, Selector, Vectors
from autoadapt.errors import UserError


class NearestEmbedding(Selector):
    """The rows of greatest cosine similarity of the model's own vectors, the most similar last.

    The vectors are those that a `head` reads off the same model. Their computation for all training rows is paid once,
    as training; every query takes one more pass of the model over its text.
    """

    needs_vectors: ClassVar[bool] = True

    def prepare(self, rows: Sequence[Row], shots: int, seed: int) -> Select:
        return _NearestVectors(list(rows), shots)


class _NearestVectors:
    """See `autoadapt.domain.selector.ComparesVectors`."""

    def __init__(self, rows: list[Row], shots: int) -> None:
        self._rows, self._shots = rows, shots
        self._vectors: Vectors = None
        self._vector_of: Callable[[str], Vectors] | None = None

    def use(self, vectors: Vectors, vector_of: Callable[[str], Vectors]) -> None:
        self._vectors, self._vector_of = vectors, vector_of

    def __call__(self, query: str) -> list[Row]:
        if self._vector_of is None:
            raise UserError("selector nearest_embedding: this model gives no vectors of texts; use nearest")
        similarity = self._vectors @ self._vector_of(query)
        best = similarity.argsort(kind="stable")[::-1][: self._shots]
        return [self._rows[i] for i in reversed(best)]
