"""Which of several candidates are dropped after a block of rows, because others are shown to be better.

All are scored on the same rows, so that two of them are compared by their differences row by row. Rows come in blocks,
and after each block it is decided again; the error of a decision is divided by the number of blocks, so that the chance
of dropping the better one of two holds for all blocks together.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

K = TypeVar("K", bound=Hashable)


def chance_of_better(first: Sequence[float], second: Sequence[float], shift: float = 0.0) -> float:
    """How often chance alone would show the first as so much better than the second, if it were no better.

    One-sided, by the differences of the same rows: a t-test with half a row added to each of the four combinations of
    right and wrong, as Agresti and Min (2005) do for intervals of paired proportions. So a difference that is the same
    on all of few rows is not taken to be certain.

    Args:
        first, second: scores from 0 to 1 of the same rows.
        shift: added to the mean difference; a known advantage of the first apart from its scores.
    """
    from scipy.special import stdtr

    differences = np.asarray(first, float) - np.asarray(second, float)
    rows = len(differences) + 2
    mean = float(differences.sum()) / rows
    variance = (float((differences**2).sum()) + 1) / rows - mean**2
    t = (mean + shift) / math.sqrt(max(variance, 1e-12) / (rows - 1))
    return float(stdtr(rows - 1, -t))


def dropped(
    scores: Mapping[K, Sequence[float]], advantages: Mapping[K, float], keep: int, error: float, blocks: int
) -> set[K]:
    """Those than which at least `keep` others are shown to be better.

    Args:
        scores: of each on the same rows.
        advantages: added to the mean score of each.
        keep: so many are wanted in the end.
        error: greatest chance, over all blocks, of showing one of two that are equally good to be better.
        blocks: after which it is decided.
    """
    if len(scores) <= keep:
        return set()
    level = error / blocks
    gone = set()
    for one, own in scores.items():
        better = sum(
            chance_of_better(other, own, advantages[name] - advantages[one]) < level
            for name, other in scores.items()
            if name != one
        )
        if better >= keep:
            gone.add(one)
    return gone
