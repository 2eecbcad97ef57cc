"""Test rows that differ from validation rows in labels, lengths or words are noticed; those of one source are not."""

import numpy as np
import pytest

from autoadapt.domain.rows import Row
from autoadapt.tasks.split_differences import few_rows_notes, split_differences


def rows(count: int, seed: int, rare: float = 0.03, words: int = 8, new: float = 0.0) -> list[Row]:
    """Rows of two labels; a share `rare` has the second one, and a share `new` of the words is not among the usual."""
    random = np.random.default_rng(seed)

    def text() -> str:
        drawn = random.integers(0, 200, words)
        return " ".join(f"new{w}" if random.random() < new else f"word{w}" for w in drawn)

    return [Row(id=i, input=text(), outputs=["rare" if random.random() < rare else "usual"]) for i in range(count)]


def test_splits_of_one_source_do_not_differ() -> None:
    for seed in range(40):
        train, validation, test = rows(300, 3 * seed), rows(200, 3 * seed + 1), rows(200, 3 * seed + 2)
        assert split_differences(train, validation, test, labelled=True) == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"rare": 0.19}, "label 'rare' is"),
        ({"words": 14}, "inputs have 14 words in the median test row and 8 in the median validation row"),
        ({"new": 0.3}, "of the words of a test row are in no training row"),
    ],
)
def test_each_kind_of_difference_is_named(changed: dict[str, float], sentence: str) -> None:
    found = split_differences(rows(300, 0), rows(200, 1), rows(200, 2, **changed), labelled=True)  # type: ignore[arg-type]
    assert len(found) == 1
    assert sentence in found[0]


def test_outputs_that_are_no_labels_are_not_compared() -> None:
    assert split_differences(rows(300, 0), rows(200, 1), rows(200, 2, rare=0.4), labelled=False) == []
    assert split_differences([], [], rows(5, 2), labelled=True) == []


def test_labels_of_few_rows_are_named_where_every_label_counts_the_same() -> None:
    def of(**counts: int) -> list[Row]:
        return [Row(id=0, input="x", outputs=[label]) for label, count in counts.items() for _ in range(count)]

    assert few_rows_notes(of(a=5, b=90), of(a=9, b=90)) == []
    [note] = few_rows_notes(of(a=5, b=90), of(a=2, b=90))
    assert note.startswith("labels with fewer than 5 test rows ('a' 2): every label counts the same")
    [many] = few_rows_notes(of(**dict.fromkeys("abcdefg", 1)), of(b=90))
    assert "and 2 more" in many
