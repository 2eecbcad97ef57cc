"""Passages of documents, found for a query by BM25 (package bm25s, an extra).

Scores are those of Lucene's variant: idf(t) * tf / (tf + k1 (1 - b + b length / mean length)), summed over the words of
the query, with idf(t) = log(1 + (N - n + 0.5) / (n + 0.5)) (Kamphuis et al. 2020).
"""

import importlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autoadapt.domain.documents import Document, Passages, Retrieval
from autoadapt.domain.rows import Row
from autoadapt.errors import Exit, UserError
from autoadapt.files import require_regular, write_atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

K1, B = 1.5, 0.75
DIGITS = 9
"""Decimal places of scores that count: sums of the same parts in another order are equal, and the earlier passage is
taken."""
WORD = re.compile(r"\w+")
DOCUMENTS_FILE = "documents.jsonl"
"""In a run's ``data/``: all documents."""
PASSAGES_FILE = "passages.jsonl"
"""In an artifact: the text of every passage, a JSON string in each line."""


def words_of(text: str) -> list[str]:
    """The words of a text by which it is found."""
    return WORD.findall(text.casefold())


def cut(text: str, most: int) -> list[str]:
    """A text in pieces of about equally many words, at most `most`; white space within a piece stays as it is."""
    places = [match.span() for match in re.finditer(r"\S+", text)]
    pieces = math.ceil(len(places) / most)
    borders = [round(i * len(places) / pieces) for i in range(pieces + 1)] if pieces else []
    return [text[places[a][0] : places[b - 1][1]] for a, b in itertools.pairwise(borders)]


def cut_all(documents: Sequence[Document], most: int) -> list[str]:
    """The pieces of all documents in their order."""
    return [piece for document in documents for piece in cut(document.text, most)]


class PassageSearch:
    """Finds passages for a query.

    Args:
        retrieval: how many, and where they are shown.
        passages: to choose from.

    Raises:
        UserError: bm25s is not installed.
    """

    def __init__(self, retrieval: Retrieval, passages: Sequence[str]) -> None:
        self.retrieval, self.passages = retrieval, passages
        bm25s = import_bm25s()
        numbers: dict[str, int] = {}
        for word in itertools.chain.from_iterable(map(words_of, passages)):
            numbers.setdefault(word, len(numbers))
        self._numbers = numbers
        self._index = bm25s.BM25(k1=K1, b=B, method="lucene", dtype="float64")
        ids = [[numbers[word] for word in words_of(passage)] for passage in passages]
        self._index.index((ids, numbers), create_empty_token=False, show_progress=False)

    def scores(self, query: str) -> "NDArray[np.float64]":
        """The score of every passage."""
        known = [self._numbers[word] for word in words_of(query) if word in self._numbers]
        if not known:
            return np.zeros(len(self.passages))
        return np.asarray(self._index.get_scores_from_ids(known))

    def of(self, query: str) -> Passages:
        """What a query's prompt shows."""
        scores = self.scores(query).round(DIGITS)
        best = (-scores).argsort(kind="stable")[: self.retrieval.passages]
        return Passages(tuple(self.passages[i] for i in best if scores[i] > 0), self.retrieval.position)

    def recall(self, rows: Sequence[Row], no_answer: str) -> float | None:
        """Share of the rows that documents answer for which an accepted answer stands in what is found.

        Args:
            rows: that are asked.
            no_answer: the answer of rows that documents do not answer.

        Returns:
            None where they answer none of these rows.
        """
        found = [
            any(_holds(self.of(row.input), one) for one in row.outputs) for row in rows if no_answer not in row.outputs
        ]
        return sum(found) / len(found) if found else None

    def write(self, folder: Path) -> None:
        """Writes the passages into the folder of an artifact."""
        write_atomic(
            folder / PASSAGES_FILE, "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in self.passages)
        )


def _holds(passages: Passages, answer: str) -> bool:
    """Whether a passage has the words of an answer one after the other."""
    wanted = f" {' '.join(words_of(answer))} "
    return wanted.strip() != "" and any(wanted in f" {' '.join(words_of(text))} " for text in passages.texts)


def import_bm25s() -> Any:
    """The package bm25s.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module("bm25s")
    except ImportError as error:
        raise UserError("documents need a package: pip install 'autoadapt[retrieval]'", Exit.ENVIRONMENT) from error


def read_passages(folder: Path) -> list[str]:
    """The passages of an artifact."""
    require_regular(folder / PASSAGES_FILE)
    with (folder / PASSAGES_FILE).open(encoding="utf-8") as lines:
        return [str(json.loads(line)) for line in lines]


def write_documents(file: Path, documents: Sequence[Document]) -> None:
    """Freezes documents, one JSON object per line."""
    write_atomic(file, "".join(document.model_dump_json() + "\n" for document in documents))


def read_documents(file: Path) -> list[Document]:
    """Documents that were frozen."""
    require_regular(file)
    with file.open(encoding="utf-8") as lines:
        return [Document.model_validate_json(line) for line in lines]


def sampled(texts: Sequence[str], retrieval: Retrieval, count: int) -> Iterator[Passages]:
    """Passages for so many inputs as long as those that will be found, which nobody looks for.

    Args:
        texts: of documents.
        retrieval: how many of which length.
        count: of inputs.
    """
    pieces = [piece for text in texts for piece in cut(text, retrieval.chunk_words)]
    taken = itertools.cycle(pieces)
    shown = min(retrieval.passages, len(pieces))
    return (Passages(tuple(itertools.islice(taken, shown)), retrieval.position) for _ in range(count))
