"""Requests to a model that writes instructions, and the instruction read off its answer.

Rows of the user's data stand between tags, and tags within them are made inert, so that a row cannot end its place. The
answer is taken as a text to be tried, and as nothing else.
"""

import re
from collections.abc import Sequence

from autoadapt.domain.proposer import Judged

MOST_CHARACTERS = 4000
"""Of an instruction; a longer answer is none."""
SHOWN_CHARACTERS = 400
"""Of an input and of an answer in a request."""
SHOWN_LABELS = 100
CHANGES = (
    "Make it shorter, and leave out whatever the model does not need to be told.",
    "Make it more precise: say what decides between answers that are easily confused.",
    "Say clearly in what form the answer must be written.",
    "Describe the task from the point of view of an expert who has to do it.",
    "Say what the model should look at first, and what it should not be misled by.",
    "Use other words and another order of sentences, with the same meaning.",
)
"""What a rewritten instruction shall be; one is drawn for every request."""
END = (
    "Answer with the new instruction alone, between <instruction> and </instruction>. It must hold for every input of "
    "the task, so do not mention single inputs."
)
TAGGED = re.compile(r"<instruction>(.*?)(?:</instruction>|$)", re.DOTALL | re.IGNORECASE)


def crossover_request(first: str, second: str, labels: Sequence[str]) -> str:
    """Asks for an instruction made of two.

    Args:
        first, second: instructions.
        labels: that can be answered; empty for free text.
    """
    return (
        f"Two instructions were written for the same task of a language model.{_labels(labels)}\n"
        f"<first>\n{inert(first)}\n</first>\n<second>\n{inert(second)}\n</second>\n"
        f"Join them into one instruction that keeps what is best in both. {END}"
    )


def mutation_request(text: str, change: str, mistakes: Sequence[Judged], labels: Sequence[str]) -> str:
    """Asks for an instruction to be rewritten.

    Args:
        text: the instruction.
        change: what the new one shall be, one of `CHANGES`.
        mistakes: rows that were answered wrongly behind the best instruction so far.
        labels: that can be answered; empty for free text.
    """
    shown = "".join(
        f"<mistake>\ninput: {_short(one.row.input)}\nanswer: {_short(one.answer)}\n"
        f"right: {_short(' or '.join(one.row.outputs))}\n</mistake>\n"
        for one in mistakes
    )
    seen = f"These inputs were answered wrongly with the best instruction so far:\n{shown}" if shown else ""
    return (
        f"An instruction tells a language model what to do with an input.{_labels(labels)}\n"
        f"<old>\n{inert(text)}\n</old>\n{seen}Rewrite the instruction. {change} {END}"
    )


def instruction_in(answer: str) -> str | None:
    """The instruction in an answer; None: there is none."""
    found = TAGGED.search(answer)
    text = (found.group(1) if found else answer).strip().strip('"').strip()
    if not text or len(text) > MOST_CHARACTERS or "<mistake>" in text or "</" in text:
        return None
    return text


def inert(text: str) -> str:
    """A text that cannot end the place in which it stands."""
    return text.replace("</", "< /").replace("<", "&lt;")


def _short(text: str) -> str:
    line = inert(" ".join(text.split()))
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 3] + "..."


def _labels(labels: Sequence[str]) -> str:
    if not labels:
        return ""
    more = ", ..." if len(labels) > SHOWN_LABELS else ""
    return f" Its answers are taken from these labels: {', '.join(map(inert, labels[:SHOWN_LABELS]))}{more}."
