"""F1 of the words of an answer and of a reference, as SQuAD's evaluation has it (Rajpurkar et al. 2016, 2018)."""

import re
import string
from collections import Counter
from typing import ClassVar

from autoadapt.domain.metric import AnsweredRow, AnswerKind, Metric

PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(a|an|the)\b")


def words(text: str) -> list[str]:
    """Words in lower case, without punctuation (of ASCII) and English articles."""
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def f1(answer: list[str], reference: list[str]) -> float:
    """Harmonic mean of precision and recall of words, each counted as often as it stands there.

    Where either has no words, 1 if neither has, else 0 (as in SQuAD 2.0).
    """
    if not answer or not reference:
        return float(answer == reference)
    shared = sum((Counter(answer) & Counter(reference)).values())
    return 2 * shared / (len(answer) + len(reference))


class TokenF1(Metric):
    """Greatest F1 of words over the references; the mean over rows."""

    answers: ClassVar[AnswerKind] = "text"

    def row(self, answered: AnsweredRow) -> list[float]:
        answer = words(answered.prediction)
        return [max(f1(answer, words(reference)) for reference in answered.references)]
