"""Few-shot examples that a model of words gets wrong: what words alone do not tell is shown."""

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from autoadapt.domain.params import WordModel, WordParams
from autoadapt.domain.rows import Row
from autoadapt.domain.selector import Select, Selector

PARTS = 5
MOST_ROWS = 2000
"""Rows of a random sample that are looked at, so that choosing takes seconds."""


class Hard(Selector):
    """The same rows for every query: answered wrongly by the floor, each by a model that was fitted on other rows.

    The floor is TF-IDF of words with logistic regression, cross-validated on the training rows; for free text it is the
    answer of the most similar other row. Wrong rows are drawn at random, their labels in turn: the least probable ones
    would often be rows with a wrong label. Where there are fewer than shots, rows that were answered rightly with the
    least confidence come before them.
    """

    same_for_every_query: ClassVar[bool] = True

    def prepare(self, rows: Sequence[Row], shots: int, seed: int) -> Select:
        rng = random.Random(seed)
        drawn = rng.sample(list(rows), min(len(rows), max(shots, MOST_ROWS)))
        answers = _answered_by_others(drawn)
        wrong = _labels_in_turn([row for row, (right, _) in zip(drawn, answers, strict=True) if not right])
        right = [(sure, row) for row, (right, sure) in zip(drawn, answers, strict=True) if right]
        unsure = [row for _, row in sorted(right, key=lambda item: item[0])]
        chosen = [*wrong, *unsure][:shots]
        return lambda query: chosen[::-1]


def _answered_by_others(rows: Sequence[Row]) -> list[tuple[bool, float]]:
    """Of each row whether a model fitted on other parts of the rows answers it rightly, and how sure it is."""
    from autoadapt.word_models import fit_words

    texts, truth = [row.input for row in rows], [row.outputs[0] for row in rows]
    labels = sorted(set(truth))
    chosen_from = labels if 2 * len(labels) <= len(rows) else None
    answered: list[tuple[bool, float]] = [(True, 1.0)] * len(rows)
    for part in range(min(PARTS, len(rows)) if len(rows) > 1 else 0):
        others = [i for i in range(len(rows)) if i % PARTS != part]
        asked = [i for i in range(len(rows)) if i % PARTS == part]
        known = [truth[i] for i in others]
        kind: WordModel = "nearest" if chosen_from is None else "tfidf"
        words = fit_words(kind, WordParams(units="words"), [texts[i] for i in others], known, chosen_from)
        given = words.answered([texts[i] for i in asked], chosen_from)
        for i, (answer, sure, _) in zip(asked, given, strict=True):
            answered[i] = (answer == truth[i], sure)
    return answered


def _labels_in_turn(rows: Sequence[Row]) -> list[Row]:
    """Rows in such an order that every label comes before any one comes again."""
    by_label: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_label[row.outputs[0]].append(row)
    turns = [(turn, row) for queue in by_label.values() for turn, row in enumerate(queue)]
    return [row for _, row in sorted(turns, key=lambda item: item[0])]
