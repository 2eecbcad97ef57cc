"""Several answers to one input: which one is given, how sure it is, and what it has cost."""

import math

import pytest

from autoadapt.domain.method import Answer
from autoadapt.domain.usage import Usage
from autoadapt.prompts.voting import agreed

LABELS = ["a", "b"]


def answer(text: str, **fields: object) -> Answer:
    return Answer(text, 10, 3, **fields)  # type: ignore[arg-type]


def of_labels(*p: float) -> Answer:
    logs = tuple(map(math.log, p))
    return answer(LABELS[p.index(max(p))], confidence=max(p), log_probs=logs)


def test_most_votes_win_whatever_their_case_and_space() -> None:
    one = agreed([answer("no"), answer("Yes  it is"), answer("yes it is"), answer("never")], [])
    assert (one.text, one.confidence) == ("Yes  it is", 0.5)


def test_of_equal_votes_the_surer_ones_win_then_the_first() -> None:
    assert agreed([answer("x", confidence=0.2), answer("y", confidence=0.9)], []).text == "y"
    assert agreed([answer("x"), answer("y")], []).text == "x"


def test_probabilities_of_labels_are_averaged() -> None:
    """Two of three votes are for a, by a little; the mean is for b."""
    one = agreed([of_labels(0.55, 0.45), of_labels(0.55, 0.45), of_labels(0.1, 0.9)], LABELS)
    assert one.text == "b"
    assert one.confidence == pytest.approx(0.6)
    assert [math.exp(number) for number in one.log_probs] == pytest.approx([0.4, 0.6])


def test_samples_without_an_answer_do_not_vote_but_make_it_less_sure() -> None:
    one = agreed([answer("a"), answer("?", unusable=True), answer("", failed=True)], LABELS)
    assert (one.text, one.unusable, one.failed) == ("a", False, False)
    assert one.confidence == pytest.approx(1 / 3)
    none = agreed([answer("?", unusable=True), answer("", failed=True)], LABELS)
    assert (none.text, none.unusable, none.failed) == ("?", True, False)
    assert agreed([answer("", failed=True)] * 2, LABELS).failed


def test_all_samples_are_counted() -> None:
    usage = Usage(tokens_in=10, tokens_out=3, usd=0.5)
    one = agreed([answer("a", usage=usage, retries=1, done_s=2.0), answer("a", usage=usage, done_s=1.0)], LABELS)
    assert (one.tokens_in, one.tokens_out, one.retries, one.done_s) == (20, 6, 1, 2.0)
    assert one.usage == Usage(tokens_in=20, tokens_out=6, usd=1.0)
