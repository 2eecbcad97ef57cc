"""Metrics against the libraries that define them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.domain.metric import AnsweredRow
from autoadapt.shelves import METRICS

LABELS = ["a", "b", "c", "d"]


def row(name: str, prediction: str, references: list[str], labels: list[str]) -> list[float]:
    """Statistics of one answered row."""
    return METRICS.get(name).row(AnsweredRow("", prediction, tuple(references), tuple(labels)))


@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=40))
def test_macro_f1_equals_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    from sklearn.metrics import f1_score

    metric = METRICS.get("macro_f1")
    stats = np.array([row("macro_f1", p, [t], LABELS) for t, p in pairs])
    expected = f1_score([t for t, _ in pairs], [p for _, p in pairs], average="macro")
    assert metric.value(stats) == pytest.approx(expected)


def test_accuracy_is_the_share_of_right_labels() -> None:
    metric = METRICS.get("accuracy")
    stats = np.array([row("accuracy", p, [t], LABELS) for t, p in [("a", "a"), ("b", "a"), ("c", "c"), ("d", "d")]])
    assert metric.value(stats) == 0.75


def test_bleu_of_summed_rows_equals_sacrebleu_on_the_corpus() -> None:
    import sacrebleu

    answers = ["The cat sat on the mat today .", "a dog barks", "there is a house in the wood", ""]
    references = [
        ["The cat sat on a mat today .", "A cat was sitting on the mat ."],
        ["The dog barks loudly", "A dog is barking"],
        ["There is a small house in the wood", "A house is in the wood"],
        ["Something", "Nothing"],
    ]
    metric = METRICS.get("bleu")
    stats = np.array([row("bleu", a, r, []) for a, r in zip(answers, references, strict=True)])
    corpus = sacrebleu.corpus_bleu(answers, list(map(list, zip(*references, strict=True))), lowercase=True)
    assert metric.value(stats) * 100 == pytest.approx(corpus.score)


def test_rouge_l_takes_the_best_reference() -> None:
    (score,) = row("rouge_l", "the cat sat", ["a dog ran", "the cat sat down"], [])
    assert score == pytest.approx(2 * 1 * 0.75 / 1.75)


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("Paris", "paris ", 1.0),
        ('{"b": 1, "a": "X y"}', '{"a":"x y","b":1}', 1.0),
        ("{not json", "{NOT json", 1.0),
        ("Paris", "London", 0.0),
        ("[" * 100_000, "x", 0.0),
    ],
)
def test_exact_match_forgives_case_space_and_key_order(answer: str, reference: str, expected: float) -> None:
    assert row("exact_match", answer, [reference], []) == [expected]
