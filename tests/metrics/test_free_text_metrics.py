"""Metrics of free text against the libraries and the definitions that they come from."""

import re
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.domain.metric import AnsweredRow, Metric
from autoadapt.errors import UserError
from autoadapt.shelves import METRICS

ANSWERS = ["The cat sat on the mat today .", "a dog barks", "there is a house in the wood", "", "ein Haus, Über Nacht!"]
REFERENCES = [
    ["The cat sat on a mat today .", "A cat was sitting on the mat ."],
    ["The dog barks loudly", "A dog is barking"],
    ["There is a small house in the wood", "A house is in the wood"],
    ["Something", "x"],
    ["Ein Haus über Nacht", "ein haus"],
]
TEXT = st.text(alphabet="abcé A.,\n", max_size=30)
PAIRS = st.lists(st.tuples(TEXT, st.lists(TEXT.filter(str.strip), min_size=1, max_size=3)), min_size=1, max_size=6)


def stats(metric: Metric, answers: list[str], references: list[list[str]]) -> np.ndarray:
    """The metric's statistics of answers."""
    rows = zip(answers, references, strict=True)
    return np.array([metric.row(AnsweredRow("", answer, tuple(accepted))) for answer, accepted in rows])


def corpus_chrf(answers: list[str], references: list[list[str]]) -> float:
    """By sacrebleu, from 0 to 1; it takes one list per place of a reference."""
    import sacrebleu

    most = max(map(len, references))
    columns = [[one[i] if i < len(one) else None for one in references] for i in range(most)]
    return sacrebleu.corpus_chrf(answers, columns).score / 100


def test_chrf_of_summed_rows_equals_sacrebleu_on_the_corpus() -> None:
    metric = METRICS.get("chrf")
    assert metric.value(stats(metric, ANSWERS, REFERENCES)) == pytest.approx(corpus_chrf(ANSWERS, REFERENCES), abs=1e-6)


@given(PAIRS)
def test_chrf_equals_sacrebleu_on_any_texts(pairs: list[tuple[str, list[str]]]) -> None:
    answers, references = [a for a, _ in pairs], [r[:1] for _, r in pairs]
    metric = METRICS.get("chrf")
    assert metric.value(stats(metric, answers, references)) == pytest.approx(corpus_chrf(answers, references), abs=1e-6)


def test_chrf_of_a_row_equals_sacrebleu_on_the_sentence() -> None:
    import sacrebleu

    metric = METRICS.get("chrf")
    for answer, accepted in zip(ANSWERS, REFERENCES, strict=True):
        (row,) = stats(metric, [answer], [accepted])
        assert row[0] == pytest.approx(sacrebleu.sentence_chrf(answer, accepted).score / 100, abs=1e-6)


def test_rouge_l_equals_rouge_score() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    scorer, metric = RougeScorer(["rougeL"]), METRICS.get("rouge_l")
    best = [max(scorer.score(r, a)["rougeL"].fmeasure for r in rs) for a, rs in zip(ANSWERS, REFERENCES, strict=True)]
    assert metric.value(stats(metric, ANSWERS, REFERENCES)) == pytest.approx(np.mean(best), abs=1e-6)


def squad_f1(answer: str, reference: str) -> float:
    """F1 by its definition: words are struck off one after the other, in precision and in recall."""

    def tokens(text: str) -> list[str]:
        bare = "".join(c for c in text.lower() if c not in set(string.punctuation))
        return [word for word in re.split(r"\s+", bare) if word not in ("a", "an", "the", "")]

    written, wanted = tokens(answer), tokens(reference)
    if not written or not wanted:
        return 1.0 if written == wanted else 0.0
    left, shared = list(wanted), 0
    for word in written:
        if word in left:
            left.remove(word)
            shared += 1
    if not shared:
        return 0.0
    precision, recall = shared / len(written), shared / len(wanted)
    return 2 * precision * recall / (precision + recall)


@given(PAIRS)
def test_token_f1_equals_its_definition(pairs: list[tuple[str, list[str]]]) -> None:
    metric = METRICS.get("token_f1")
    expected = np.mean([max(squad_f1(answer, one) for one in accepted) for answer, accepted in pairs])
    found = metric.value(stats(metric, [a for a, _ in pairs], [r for _, r in pairs]))
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("The Denver Broncos!", "denver broncos", 1.0),
        ("Denver Broncos won", "Denver Broncos", 0.8),
        ("", "Denver", 0.0),
        ("the", "a", 1.0),
    ],
)
def test_token_f1_of_single_answers(answer: str, reference: str, expected: float) -> None:
    assert METRICS.get("token_f1").row(AnsweredRow("", answer, (reference,))) == [pytest.approx(expected)]


@pytest.mark.parametrize(
    ("settings", "answer", "reference", "expected"),
    [
        ({"ignore_case": False}, "Paris", "paris", 0.0),
        ({"ignore_space": False}, "New York", "NewYork", 0.0),
        ({"ignore_space": False}, "new york", "New York", 1.0),
        ({}, "Paris.", "Paris", 0.0),
        ({"ignore_punctuation": True}, "«Paris».", "Paris", 1.0),
    ],
)
def test_exact_match_ignores_what_its_settings_say(
    settings: dict[str, bool], answer: str, reference: str, expected: float
) -> None:
    metric = METRICS.new("exact_match", settings)
    assert metric.row(AnsweredRow("", answer, (reference,))) == [expected]


def test_function_of_another_package_is_a_metric() -> None:
    metric = METRICS.get("brevity")
    assert metric.answers == "text"
    assert metric.row(AnsweredRow("q", "four", ("four", "to"))) == [1.0]
    assert metric.row(AnsweredRow("q", "q", ("four",))) == [0.0]
    assert metric.row(AnsweredRow("q", "eightlet", ("four",))) == [0.5]


@pytest.mark.parametrize("score", [float("nan"), 1.5, "0.5", None])
def test_function_that_gives_no_share_is_refused(score: object) -> None:
    metric = Metric.from_function(lambda answer, references, input: score)()  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="not a number from 0 to 1"):
        metric.row(AnsweredRow("q", "a", ("a",)))


def test_only_installed_packages_bring_metrics() -> None:
    with pytest.raises(UserError, match="unknown metric 'brevity:score'"):
        METRICS.new("brevity:score")
