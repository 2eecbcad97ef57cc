"""A sample of a source that has more rows than are used: every row is as likely to be in it, wherever it stands."""

import random
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def places_in(total: int, most: int, seed: str) -> list[int]:
    """`most` different places below `total`, rising; the same seed gives the same."""
    return sorted(random.Random(seed).sample(range(total), most))


def sampled(items: Iterable[T], most: int, seed: str, read: Callable[[int, T], R]) -> tuple[list[R], int]:
    """At most `most` of the items, in their order, and how many there are; the same seed gives the same (algorithm R).

    Args:
        items: read once, and never all in memory.
        most: how many are kept.
        seed: of the choice.
        read: called with the place and the item, of those alone that are kept when their turn comes.
    """
    rng = random.Random(seed)
    kept: list[tuple[int, R]] = []
    total = 0
    for number, item in enumerate(items):
        total = number + 1
        if number < most:
            kept.append((number, read(number, item)))
        elif (slot := int(rng.random() * total)) < most:
            kept[slot] = (number, read(number, item))
    kept.sort(key=lambda pair: pair[0])
    return [value for _, value in kept], total
