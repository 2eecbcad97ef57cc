"""Metrics of sets of labels against scikit-learn, and what holds for any sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.domain.label_sets import labels_in, probable_set, text_of_set
from autoadapt.domain.metric import AnsweredRow
from autoadapt.shelves import METRICS

LABELS = ["art", "law", "music", "sport in clubs"]
SETS = st.frozensets(st.sampled_from(LABELS))
PAIRS = st.lists(st.tuples(SETS, SETS), min_size=1, max_size=30)


def stats(
    name: str, pairs: list[tuple[frozenset[str], frozenset[str]]]
) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """Statistics of rows, each a right set and an answered one."""
    metric = METRICS.get(name)
    return np.array([metric.row(AnsweredRow("", text_of_set(p), (text_of_set(t),), tuple(LABELS))) for t, p in pairs])


def indicator(sets: list[frozenset[str]]) -> list[list[int]]:
    """Sets as scikit-learn wants them."""
    return [[int(label in one) for label in LABELS] for one in sets]


@given(PAIRS)
def test_micro_f1_equals_scikit_learn(pairs: list[tuple[frozenset[str], frozenset[str]]]) -> None:
    from sklearn.metrics import f1_score

    truth, predicted = indicator([t for t, _ in pairs]), indicator([p for _, p in pairs])
    expected = f1_score(truth, predicted, average="micro", zero_division=1)
    assert METRICS.get("micro_f1").value(stats("micro_f1", pairs)) == pytest.approx(expected)


@given(PAIRS)
def test_subset_accuracy_equals_scikit_learn(pairs: list[tuple[frozenset[str], frozenset[str]]]) -> None:
    from sklearn.metrics import accuracy_score

    expected = accuracy_score(indicator([t for t, _ in pairs]), indicator([p for _, p in pairs]))
    assert METRICS.get("subset_accuracy").value(stats("subset_accuracy", pairs)) == pytest.approx(expected)


@given(SETS, SETS)
def test_a_row_scores_one_for_its_own_set_alone(truth: frozenset[str], predicted: frozenset[str]) -> None:
    (row,) = stats("micro_f1", [(truth, predicted)])
    assert 0 <= row[0] <= 1
    assert (row[0] == 1) == (truth == predicted)
    assert (row[0] == 0) == (truth != predicted and not truth & predicted)


@given(PAIRS, PAIRS)
def test_statistics_of_rows_add_up(
    first: list[tuple[frozenset[str], frozenset[str]]], second: list[tuple[frozenset[str], frozenset[str]]]
) -> None:
    metric = METRICS.get("micro_f1")
    together = metric.value(stats("micro_f1", first + second))
    summed = (stats("micro_f1", first).sum(axis=0) + stats("micro_f1", second).sum(axis=0))[None]
    assert together == pytest.approx(metric.value(summed))


def test_what_is_no_label_is_a_false_positive() -> None:
    row = METRICS.get("micro_f1").row(AnsweredRow("", "art | physics", ("art | law",), tuple(LABELS)))
    assert row == [0.5, 1.0, 1.0, 1.0]


@given(SETS)
def test_a_set_has_one_text_from_which_it_is_read_again(labels: frozenset[str]) -> None:
    assert labels_in(text_of_set(labels)) == labels
    assert text_of_set(sorted(labels, reverse=True)) == text_of_set(labels)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_the_answered_set_is_the_most_probable_of_all_sets(probabilities: list[float]) -> None:
    """Every one of the 16 sets has a probability; they sum to 1, and none is more probable than the answer."""
    every = {}
    for bits in np.ndindex(2, 2, 2, 2):
        chosen = text_of_set(label for label, bit in zip(LABELS, bits, strict=True) if bit)
        every[chosen] = float(np.prod([p if bit else 1 - p for p, bit in zip(probabilities, bits, strict=True)]))
    text, confidence = probable_set(LABELS, probabilities)
    assert sum(every.values()) == pytest.approx(1)
    assert confidence == pytest.approx(every[text]) == pytest.approx(max(every.values()))


def test_probabilities_that_are_not_finite_are_refused() -> None:
    with pytest.raises(FloatingPointError, match="not finite"):
        probable_set(["a", "b"], [0.2, float("nan")])
