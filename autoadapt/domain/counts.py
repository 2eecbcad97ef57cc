"""Counts as people write them: ``10000``, ``10k``, ``2.5M``, ``1B``."""

import math
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

WRITTEN = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmb]?)", re.IGNORECASE)
FACTORS = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}
GREATEST_COUNT = 10**15
HOW_TO_WRITE = "write a number of queries a month, such as 10000, 10k or 2.5M, and at most 1e15"


def count_in(text: str) -> Decimal | None:
    """The number that a text states, ``2.5k`` for 2500; None: it states none."""
    found = WRITTEN.fullmatch(text.strip())
    return None if found is None else Decimal(found[1]) * FACTORS[found[2].lower()]


def read_count(value: Any) -> Any:
    """A count that is written as text, as its number; everything else as it is.

    Raises:
        ValueError: the text states no number; the message says what to type.
    """
    if not isinstance(value, str):
        return value
    number = count_in(value)
    if number is None or number > GREATEST_COUNT:
        raise ValueError(HOW_TO_WRITE)
    return number


def _whole(value: Any) -> Any:
    """A count as an integer, where it is one."""
    number = read_count(value)
    if not isinstance(number, Decimal | float) or not math.isfinite(number):
        return number
    if number != int(number):
        raise ValueError(f"{HOW_TO_WRITE}; a part of a query is none")
    return int(number)


WholeCount = Annotated[
    int,
    BeforeValidator(_whole),
    Field(ge=1, le=GREATEST_COUNT),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? *[kKmMbB]?$"}]}
    ),
]
"""Queries, as an integer or in short form."""
