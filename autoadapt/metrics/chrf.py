"""chrF: F-score of character n-grams (Popović 2015), over the whole corpus, from 0 to 1."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from autoadapt.domain.metric import AnsweredRow, AnswerKind, Metric

ORDERS = range(1, 7)
BETA = 2
"""Recall counts so many times as much as precision."""


def counts(answer: str, reference: str) -> list[int]:
    """For each length of n-grams: those of the answer, those of the reference, and those that both have.

    White space is left out. Where the reference has none of a length, those of the answer are not counted either, so
    that short references do not lower the precision of other rows; sacrebleu does the same.
    """
    numbers = []
    for order in ORDERS:
        written, wanted = _ngrams(answer, order), _ngrams(reference, order)
        read, right = sum(wanted.values()), sum((written & wanted).values())
        numbers += [sum(written.values()) if read else 0, read, right]
    return numbers


def _ngrams(text: str, order: int) -> Counter[str]:
    dense = "".join(text.split())
    return Counter(dense[i : i + order] for i in range(len(dense) - order + 1))


def f_score(numbers: Sequence[float]) -> float:
    """F-score of precision and recall, each averaged over the lengths of which both texts have n-grams."""
    triples = np.asarray(numbers, dtype=float).reshape(-1, 3)
    written, wanted, right = triples[(triples[:, 0] > 0) & (triples[:, 1] > 0)].T
    if not right.sum():
        return 0.0
    precision, recall = float((right / written).mean()), float((right / wanted).mean())
    return (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


class Chrf(Metric):
    """Corpus chrF2 of n-grams of 1 to 6 characters; rows carry the counts, so any set of rows can be scored.

    Statistics of a row: its own chrF, then `counts` against the reference with the greatest chrF. Equal to sacrebleu's
    ``chrF2|nc:6|nw:0|space:no`` divided by 100.
    """

    answers: ClassVar[AnswerKind] = "text"

    def row(self, answered: AnsweredRow) -> list[float]:
        best = max((counts(answered.prediction, reference) for reference in answered.references), key=f_score)
        return [f_score(best), *map(float, best)]

    def value(self, stats: Any) -> float:
        return f_score(stats[:, 1:].sum(axis=0))
