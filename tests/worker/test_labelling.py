"""Which answers become labels, and when labelling ends."""

from typing import Any

import pytest

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.jobs import Label, PromptText
from autoadapt.domain.method import Answer
from autoadapt.domain.model import ModelReference
from autoadapt.domain.rows import Row
from autoadapt.domain.usage import Usage
from autoadapt.worker.labelling import Kept


def job(**changes: Any) -> Label:
    fields: dict[str, Any] = {
        "trial": 0,
        "candidate": Candidate(method="prompt", model="m", params={}),
        "model": ModelReference(name="m", family="scripted", location=""),
        "metric": PluginChoice(name="accuracy"),
        "labels": ["a", "b"],
        "prompt": PromptText(template="", instruction=""),
        "seed": 0,
        "state_folder": "trials/0000/label",
        "rows": 100,
        "wanted": 3,
        "least_confidence": 0.8,
    }
    return Label(**{**fields, **changes})


def answer(text: str = "a", confidence: float | None = 0.9, **more: Any) -> Answer:
    return Answer(text, 10, 1, confidence=confidence, **more)


def rows(count: int) -> list[Row]:
    return [Row(id=i, input=f"row {i}", outputs=[]) for i in range(count)]


def test_sure_answers_that_are_labels_are_kept_in_order() -> None:
    kept = Kept(job())
    kept.take(
        rows(6),
        [
            answer("b"),
            answer(confidence=0.79),
            answer(confidence=None),
            answer("neither"),
            answer(failed=True),
            answer("a", 0.8),
        ],
    )
    assert [(row.id, row.outputs) for row in kept.rows] == [(0, ["b"]), (5, ["a"])]
    assert kept.result.answered_before == [1, 6]
    assert (kept.result.unsure, kept.result.without_confidence, kept.result.unusable) == (1, 1, 2)
    assert kept.result.usage == Usage(tokens_in=60, tokens_out=6)
    assert kept.wants_more(0.0)


def test_what_is_answered_behind_the_last_label_is_counted_and_not_kept() -> None:
    kept = Kept(job())
    kept.take(rows(5), [answer()] * 5)
    assert (len(kept.rows), kept.result.answered, kept.result.answered_before) == (3, 5, [1, 2, 3])
    assert not kept.wants_more(0.0)


@pytest.mark.parametrize(
    ("limits", "seconds", "more"),
    [
        ({}, 1e9, True),
        ({"most_seconds": 5.0}, 4.0, True),
        ({"most_seconds": 5.0}, 5.0, False),
        ({"most_usd": 0.02}, 0.0, False),
        ({"most_usd": 0.03}, 0.0, True),
    ],
)
def test_time_and_money_end_it(limits: dict[str, float], seconds: float, more: bool) -> None:
    kept = Kept(job(**limits))
    paid, known = answer(usage=Usage(usd=0.02)), answer(usage=Usage(usd=9.0), cached=True)
    kept.take(rows(2), [paid, known])
    assert kept.result.usage.usd == 0.02, "what was paid before is not paid again"
    assert kept.wants_more(seconds) == more


def test_texts_and_sets_of_labels_become_labels_too() -> None:
    text = Kept(job(labels=None))
    text.take(rows(2), [answer("any text"), answer("")])
    assert [row.outputs for row in text.rows] == [["any text"]]
    sets = Kept(job(multi_label=True))
    sets.take(rows(2), [answer("a | b"), answer("")])
    assert [row.outputs for row in sets.rows] == [["a | b"], [""]]
