"""Chain of thought as text: how a prompt asks for reasoning, and how the answer is found behind it."""

import re
from collections.abc import Sequence

from autoadapt.domain.documents import NO_PASSAGES, Passages
from autoadapt.domain.rows import Row
from autoadapt.prompts.rendering import Prompt

MARKER = "Answer:"
"""Between reasoning and answer."""
REQUEST = "\n\nThink step by step first. Then write the answer alone in a last line that begins with 'Answer:'."
"""Behind the prompt of a model that follows a conversation."""
OPENING = " Let's think step by step."
"""Behind the prompt of a model that only goes on with a text (Kojima et al. 2022)."""
MARKED = re.compile(
    r"[*_]*\b(?:(?:final\s+)?answer(?:\s+is)?[\s*_]*:|the\s+(?:final\s+)?answer\s+is\b)[\s*_]*", re.IGNORECASE
)
"""The marker as models write it, also in bold, and `the answer is`."""
NEGATION = re.compile(r"\b(?:not|no|never|neither|nor|cannot)\b|n['\u2019]t\b", re.IGNORECASE)


class ReasoningPrompt(Prompt):
    """A prompt behind which the model writes its reasoning; examples stay answers without any.

    Args:
        template: as of `Prompt`, like the other arguments.
        instruction: the same.
        labels: the same.
        multi_label: the same.
        chat: whether the model follows a conversation.
    """

    def __init__(
        self, template: str, instruction: str, labels: Sequence[str], multi_label: bool = False, *, chat: bool
    ) -> None:
        super().__init__(template, instruction, labels, multi_label)
        self._request = REQUEST if chat else OPENING

    def render(
        self,
        text: str,
        examples: Sequence[Row] = (),
        offered: Sequence[str] = (),
        passages: Passages = NO_PASSAGES,
    ) -> str:
        return super().render(text, examples, offered, passages) + self._request


def answer_in(text: str) -> str | None:
    """What follows the last marker; None: there is none, or nothing follows."""
    parts = MARKED.split(text)
    return parts[-1].strip(" \t\n*_") or None if len(parts) > 1 else None


def reasoned_label(text: str, labels: Sequence[str]) -> str | None:
    """The label that a text with reasoning ends in; None: none, or it is not clear which.

    Where there is a marker, the line behind the last one counts: it is the label but for case and punctuation, or it
    mentions one label alone and denies nothing. Without any marker the whole text counts, as that of an answer without
    reasoning.
    """
    answer = answer_in(text)
    if answer is None:
        return None if MARKED.search(text) else mentioned(text, labels)
    line = answer.splitlines()[0]
    exact = _exact(line, labels)
    if exact is not None:
        return exact
    found = mentioned(line, labels)
    return None if found is None or NEGATION.search(_without(line, found)) else found


def mentioned(text: str, labels: Sequence[str]) -> str | None:
    """The only label that a text mentions; None: none, or several.

    A text that is a label but for case and punctuation mentions that one. Otherwise whole words count, and a label
    within a longer one that is mentioned does not.
    """
    exact = _exact(text, labels)
    if exact is not None:
        return exact
    rest, found = f" {_plain(text)} ", []
    for label in sorted(labels, key=lambda one: -len(_plain(one))):
        words = f" {_plain(label)} "
        if words.strip() and words in rest:
            found.append(label)
            rest = rest.replace(words, " | ")
    return found[0] if len(found) == 1 else None


def _exact(text: str, labels: Sequence[str]) -> str | None:
    exact = [label for label in labels if _plain(label) == _plain(text)]
    return exact[0] if len(exact) == 1 else None


def _without(text: str, label: str) -> str:
    return re.sub(re.escape(label), "", text, flags=re.IGNORECASE)


def _plain(text: str) -> str:
    """A text in lower case, words apart by one space, without punctuation."""
    return " ".join(re.findall(r"\w+", text.casefold().replace("_", " ")))
