"""Pairs of labelled rows, as contrastive training compares them."""

import bisect
import random
from collections.abc import Sequence

from autoadapt.domain.params import MOST_PAIRS


def draw_pairs(labels: Sequence[int], per_row: int, seed: int) -> list[tuple[int, int]]:
    """Pairs of rows of the same label and of different labels in turn, so that each kind makes up half of them.

    Every row begins equally many pairs, or one fewer where there are `MOST_PAIRS`; the other row is drawn uniformly
    from those of its label, or from those of other labels. The only row of a label is paired with itself. Where all
    rows have one label, all pairs are of that label.

    Args:
        labels: of the rows.
        per_row: pairs that each row begins.
        seed: pairs of equal arguments are equal.

    Returns:
        Indices of both rows of each pair; min(rows x per_row, MOST_PAIRS) pairs.
    """
    rng, rows = random.Random(f"{seed}/pairs"), len(labels)
    by_label = sorted(range(rows), key=lambda i: labels[i])
    sorted_labels = [labels[i] for i in by_label]
    place = {row: at for at, row in enumerate(by_label)}
    pairs: list[tuple[int, int]] = []
    order: list[int] = []
    for number in range(min(rows * per_row, MOST_PAIRS)):
        order = order or rng.sample(range(rows), rows)
        first = order.pop()
        # rows of its label stand side by side
        begin, end = (side(sorted_labels, labels[first]) for side in (bisect.bisect_left, bisect.bisect_right))
        others = rows - (end - begin)
        if number % 2 and others:
            drawn = rng.randrange(others)
            at = drawn if drawn < begin else drawn + end - begin
        elif end - begin > 1:
            drawn = begin + rng.randrange(end - begin - 1)
            at = drawn if drawn < place[first] else drawn + 1
        else:
            at = begin
        pairs.append((first, by_label[at]))
    return pairs
