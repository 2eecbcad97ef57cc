"""Passages of documents that the prompt of an option shows, found by BM25; needs bm25s."""

import json
import re
from pathlib import Path
from typing import Any

import bm25s
import numpy as np

K1, B, DIGITS = 1.5, 0.75, 9


def words_of(text: str) -> list[str]:
    """The words of a text by which it is found."""
    return re.findall(r"\w+", text.casefold())


class Passages:
    """Finds passages for an input.

    Args:
        folder: with passages.jsonl, a JSON string in each line.
        retrieval: of option.json: how many passages, and where they are shown.
    """

    def __init__(self, folder: Path, retrieval: dict[str, Any]) -> None:
        lines = (folder / "passages.jsonl").read_bytes().splitlines()
        self.texts: list[str] = [json.loads(line) for line in lines]
        self.count, self.position = retrieval["passages"], retrieval["position"]
        self.numbers: dict[str, int] = {}
        for text in self.texts:
            for word in words_of(text):
                self.numbers.setdefault(word, len(self.numbers))
        self.index = bm25s.BM25(k1=K1, b=B, method="lucene", dtype="float64")
        ids = [[self.numbers[word] for word in words_of(text)] for text in self.texts]
        self.index.index((ids, self.numbers), create_empty_token=False, show_progress=False)

    def of(self, text: str) -> list[str]:
        """The passages that the prompt of an input shows, the most relevant first."""
        known = [self.numbers[word] for word in words_of(text) if word in self.numbers]
        if not known:
            return []
        scores = np.round(self.index.get_scores_from_ids(known), DIGITS)
        best = (-scores).argsort(kind="stable")[: self.count]
        return [self.texts[i] for i in best if scores[i] > 0]

    def beside(self, text: str, shown: list[str]) -> str:
        """An input with passages as a block before or after it."""
        if not shown:
            return text
        block = "\n\n".join(["Documents:", *(f"[{i}] {passage}" for i, passage in enumerate(shown, 1))])
        return f"{block}\n\n{text}" if self.position == "before" else f"{text}\n\n{block}"
