"""Sets of labels as one text: the answer to a row of a task in which a row may have several labels, or none.

The text is the labels in alphabetical order, joined by `` | ``; the empty set is the empty text. One set has one text,
so that whatever handles answers as texts (splits, examples in prompts, predictions) handles sets too.
"""

import math
from collections.abc import Iterable, Sequence

SEPARATOR = "|"
"""No label may contain it."""
THRESHOLD = 0.5
"""Probability from which a label belongs to the set that is answered."""


def text_of_set(labels: Iterable[str]) -> str:
    """The text of a set of labels."""
    return f" {SEPARATOR} ".join(sorted(set(labels)))


def labels_in(text: str) -> frozenset[str]:
    """The labels that a text names; white space around them does not count."""
    return frozenset(part.strip() for part in text.split(SEPARATOR) if part.strip())


def probable_set(labels: Sequence[str], probabilities: Sequence[float]) -> tuple[str, float]:
    """The text of the most probable set, and its probability, where labels are independent of each other.

    The set holds every label with a probability of at least 0.5, and the probability of exactly this set is the product
    of ``max(p, 1 - p)`` over all labels.

    Args:
        labels: in the order of the probabilities.
        probabilities: that each label belongs to the set.

    Raises:
        FloatingPointError: a probability is not finite.
    """
    if not all(map(math.isfinite, probabilities)):
        raise FloatingPointError("the model's probabilities of labels are not finite numbers")
    chosen = [label for label, p in zip(labels, probabilities, strict=True) if p >= THRESHOLD]
    return text_of_set(chosen), math.prod(max(p, 1 - p) for p in probabilities)
