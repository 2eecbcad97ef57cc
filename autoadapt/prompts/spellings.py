"""Rows as hurried people write them: typing errors, no capitals or nothing but capitals, no punctuation.

Everything follows from a seed and the row, so that all options are asked the same.
"""

import random
import re
import unicodedata
from collections.abc import Callable, Sequence

from autoadapt.domain.robustness import Variant
from autoadapt.domain.rows import Row, input_parts, joined_input

TYPO_RATE = 0.1
"""Share of the words in which there is a typing error; at least one of every text that has such a word."""
LEAST_LETTERS = 4
"""Of a word that may have one: an error in a shorter one often makes another word of it."""
WORD = re.compile(r"[^\W\d_]+")
KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
LOWER, UPPER = "lower case, no punctuation", "capital letters"
CASES = (LOWER, UPPER)


def spelling_variants(count: int) -> list[Variant]:
    """Variants of rows: so many draws of typing errors, and the cases there are.

    Args:
        count: of each kind, at most.
    """
    typos = [Variant(kind="typos", name=f"typos {i + 1}", seed=i) for i in range(count)]
    return typos + [Variant(kind="case", name=name) for name in CASES[:count]]


def spelled(row: Row, variant: Variant, columns: Sequence[str]) -> str:
    """A row's input as a variant spells it; names of columns stay as they are.

    Args:
        row: of which the input alone is changed.
        variant: of kind ``typos`` or ``case``.
        columns: from which the input was joined, where there are several.
    """
    change = _change_of(row, variant)
    parts = [change(part) for part in input_parts(columns, row.input)]
    return joined_input(columns, parts) if len(columns) == len(parts) and columns else parts[0]


def _change_of(row: Row, variant: Variant) -> Callable[[str], str]:
    if variant.kind == "typos":
        generator = random.Random(f"{variant.seed} {row.id}")
        return lambda text: with_typos(text, generator)
    return str.upper if variant.name == UPPER else _without_case


def _without_case(text: str) -> str:
    kept = "".join(c for c in text.lower() if not unicodedata.category(c).startswith("P"))
    return kept if kept.strip() else text


def with_typos(text: str, generator: random.Random) -> str:
    """A text with typing errors in `TYPO_RATE` of its words of at least four letters, and in one of them at least.

    An error exchanges two letters, drops or doubles one, or replaces one by its neighbour on the keyboard. A word keeps
    its first letter.

    Args:
        text: any.
        generator: of random numbers.
    """
    words = [match for match in WORD.finditer(text) if len(match.group()) >= LEAST_LETTERS]
    if not words:
        return text
    chosen = [match for match in words if generator.random() < TYPO_RATE] or [generator.choice(words)]
    parts, end = [], 0
    for match in chosen:
        parts += [text[end : match.start()], _with_typo(match.group(), generator)]
        end = match.end()
    return "".join([*parts, text[end:]])


def _with_typo(word: str, generator: random.Random) -> str:
    i = generator.randrange(1, len(word))
    error = generator.choice(("swap", "drop", "double", "neighbour"))
    if error == "swap" and i + 1 < len(word) and word[i] != word[i + 1]:
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    if error == "double":
        return word[: i + 1] + word[i] + word[i + 1 :]
    near = neighbours(word[i]) if error == "neighbour" else ""
    if near:
        return word[:i] + generator.choice(near) + word[i + 1 :]
    return word[:i] + word[i + 1 :]


def neighbours(letter: str) -> str:
    """Letters beside one on a keyboard (QWERTY), in its own case; empty: it is not on it."""
    low = letter.lower()
    row = next((keys for keys in KEYBOARD if low in keys), "")
    place = row.find(low)
    near = row[max(0, place - 1) : place] + row[place + 1 : place + 2] if row else ""
    return near.upper() if letter != low else near
