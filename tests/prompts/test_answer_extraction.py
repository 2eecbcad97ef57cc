"""The answer behind reasoning: what models really write, and what is not to be taken for an answer."""

import pytest

from autoadapt.domain.rows import Row
from autoadapt.prompts.answer_extraction import OPENING, REQUEST, ReasoningPrompt, answer_in, reasoned_label

LABELS = ["positive", "negative", "very negative", "not_a_review"]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("The words are warm.\nAnswer: positive", "positive"),
        ("It drags on.\n\n**Answer:** Negative.", "negative"),
        ("**Final answer**: *positive*", "positive"),
        ("Step 1. Fine acting.\nAnswer: negative\nWait, the end is good.\nANSWER: POSITIVE", "positive"),
        ("So the answer is: very negative!", "very negative"),
        ("It is bad, therefore the answer is negative", "negative"),
        ("Answer: The sentiment is positive.", "positive"),
        ("Answer: 'not a review'", "not_a_review"),
        ("Answer:\nnegative\nbecause it is positive in parts", "negative"),
        ("positive", "positive"),
        ("I would call this review positive.", "positive"),
        ("The positive parts win.\nAnswer:", None),
        ("Answer: positive or negative", None),
        ("Answer: not positive", None),
        ("Answer: it isn't negative", None),
        ("Answer: mixed", None),
        ("Neither positive nor negative comes to mind", None),
        ("", None),
    ],
)
def test_label_behind_reasoning(text: str, label: str | None) -> None:
    assert reasoned_label(text, LABELS) == label


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Two and two.\nAnswer: 4\n", "4"),
        ("Answer: no\nAnswer: a b\nc", "a b\nc"),
        ("no marker", None),
        ("Answer: ", None),
        ("**Answer:** **42**", "42"),
    ],
)
def test_text_behind_reasoning(text: str, answer: str | None) -> None:
    assert answer_in(text) == answer


@pytest.mark.parametrize(("chat", "end"), [(True, REQUEST), (False, OPENING)])
def test_a_prompt_asks_for_reasoning_and_its_examples_have_none(chat: bool, end: str) -> None:
    template = "{% for e in examples %}{{ e.input }} -> {{ e.output }}\n{% endfor %}{{ input }} ->"
    prompt = ReasoningPrompt(template, "", LABELS, chat=chat)
    assert prompt.render("x", [Row(id=0, input="a", outputs=["positive"])]) == f"a -> positive\nx ->{end}"
