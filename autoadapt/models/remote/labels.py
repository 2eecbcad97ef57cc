"""Labels: how a server is asked for one in each way, and how it is found in what comes back."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoadapt.domain.remote import LabelWay
from autoadapt.domain.rows import Row
from autoadapt.prompts.answer_extraction import mentioned, reasoned_label
from autoadapt.providers.dialects import constrained_choice
from autoadapt.providers.features import OPTION_LETTERS, Features
from autoadapt.providers.replies import Reply, TokenScore

MOST_CHOICES = 255
"""Choices of a typed question, by OpenAI's documentation."""
LEAST_PROBABILITY = 1e-9
"""Of a label that a server gives no chance; its logarithm is finite."""
LEAST_PRIOR = 0.01
"""Probability of a label after an input without content, over that of chance, below which none is thought to be: what
is hardly ever answered would gain most by calibration."""


@dataclass(frozen=True)
class Found:
    """An answer as it was read."""

    text: str
    confidence: float | None = None
    log_probs: tuple[float, ...] = ()
    unusable: bool = False


def lacking(way: LabelWay, labels: Sequence[str], features: Features) -> str | None:
    """Why labels cannot be asked for in a way; None: they can."""
    if way not in features.ways:
        known = ", ".join(features.ways)
        return f"its server does not do label_way: {way}, as a test request has shown (it does: {known})"
    if way == "logprobs" and len(labels) > min(len(OPTION_LETTERS), features.alternatives):
        return (
            f"label_way: logprobs is for {min(len(OPTION_LETTERS), features.alternatives)} labels at most on its server"
        )
    if way == "decisions" and not 2 <= len(labels) <= MOST_CHOICES:
        return f"label_way: decisions is for 2 to {MOST_CHOICES} labels"
    return None


def with_letters(examples: Sequence[Row], labels: Sequence[str]) -> list[Row]:
    """Examples that are answered by the letters of their labels."""
    letters = dict(zip(labels, OPTION_LETTERS, strict=False))
    return [row.model_copy(update={"outputs": [letters.get(row.outputs[0], row.outputs[0])]}) for row in examples]


def letter_list(labels: Sequence[str]) -> str:
    """What stands before a prompt that is answered by a letter."""
    lines = "\n".join(f"{letter}. {label}" for letter, label in zip(OPTION_LETTERS, labels, strict=False))
    return f"Each label has a letter:\n{lines}\nAnswer with the letter alone.\n\n"


def read_label(way: LabelWay, reply: Reply, labels: Sequence[str]) -> Found:
    """The label in a reply.

    Args:
        way: in which it was asked for.
        reply: what came back.
        labels: to choose from.
    """
    if reply.refused:
        return Found(reply.text[:200], unusable=True)
    if way == "decisions":
        return _most_probable(reply.probabilities, labels, reply)
    if way == "logprobs":
        return _by_letter(reply, labels)
    label = constrained_choice(reply.text, tuple(labels)) if way == "schema" else mentioned(reply.text, labels)
    if label is None:
        return Found(reply.text[:200], unusable=True)
    return Found(label, confidence=_confidence(reply.scores, label))


def among_all(found: Found, offered: Sequence[str], labels: Sequence[str]) -> Found:
    """What was found among the labels offered, with the probabilities of all labels of the task.

    Args:
        found: among `offered`.
        offered: empty: all labels were.
        labels: of the task.
    """
    if not offered or not found.log_probs:
        return found
    known = dict(zip(offered, found.log_probs, strict=True))
    every = tuple(known.get(label, math.log(LEAST_PROBABILITY)) for label in labels)
    return dataclasses.replace(found, log_probs=every)


def read_reasoned(reply: Reply, labels: Sequence[str]) -> Found:
    """The label behind reasoning in a reply."""
    label = None if reply.refused else reasoned_label(reply.text, labels)
    if label is None:
        return Found(reply.text[-200:], unusable=True)
    return Found(label, confidence=_confidence(reply.scores, label))


def prior(way: LabelWay, reply: Reply, labels: Sequence[str]) -> tuple[float, ...] | None:
    """The logarithm of each label's probability after an input without content; None: the reply gives none.

    A letter that is not among the alternatives may be as probable as the least of them.

    Args:
        way: in which it was asked for.
        reply: to the input without content.
        labels: to choose from.
    """
    found = read_label(way, reply, labels)
    if not found.log_probs:
        return None
    least = LEAST_PRIOR / len(labels)
    first = next((score for score in reply.scores if score.token.strip()), None)
    if way == "logprobs" and first is not None and first.others:
        least = max(least, min(1.0 / len(labels), math.exp(min(first.others.values()))))
    return tuple(max(log_prob, math.log(least)) for log_prob in found.log_probs)


def calibrated(found: Found, bias: Sequence[float], labels: Sequence[str]) -> Found:
    """An answer whose probabilities are divided by those after an input without content (Zhao et al. 2021).

    Args:
        found: as it was read.
        bias: of `prior`.
        labels: to choose from.
    """
    if not found.log_probs:
        return found
    scores = [log_prob - one for log_prob, one in zip(found.log_probs, bias, strict=True)]
    highest = max(scores)
    total = highest + math.log(sum(math.exp(score - highest) for score in scores))
    log_probs = tuple(score - total for score in scores)
    best = max(range(len(labels)), key=log_probs.__getitem__)
    return Found(labels[best], math.exp(log_probs[best]), log_probs)


def _by_letter(reply: Reply, labels: Sequence[str]) -> Found:
    first = next((score for score in reply.scores if score.token.strip()), None)
    found: dict[str, float] = {}
    if first is not None:
        for token, logprob in {first.token: first.logprob, **first.others}.items():
            letter = token.strip().upper()
            if letter in OPTION_LETTERS[: len(labels)] and len(letter) == 1:
                label = labels[OPTION_LETTERS.index(letter)]
                found[label] = found.get(label, 0.0) + math.exp(logprob)
    return _most_probable(found, labels, reply)


def _most_probable(found: Mapping[str, float], labels: Sequence[str], reply: Reply) -> Found:
    total = sum(found.get(label, 0.0) for label in labels)
    if total <= 0:
        return Found(reply.text[:200], unusable=True)
    shares = [max(LEAST_PROBABILITY, found.get(label, 0.0) / total) for label in labels]
    best = max(range(len(labels)), key=shares.__getitem__)
    return Found(labels[best], shares[best], tuple(math.log(share) for share in shares))


def _confidence(scores: Sequence[TokenScore], label: str) -> float | None:
    """The probability of the tokens that spell a label within an answer."""
    written = "".join(score.token for score in scores)
    begin = written.rfind(label)  # reasoning may have named it before
    if begin < 0:
        return None
    position, total = 0, 0.0
    for score in scores:
        end = position + len(score.token)
        if position < begin + len(label) and end > begin:
            total += score.logprob
        position = end
    return min(1.0, math.exp(total))


def fluency(scores: Sequence[TokenScore]) -> float | None:
    """The geometric mean of the probabilities of the tokens written."""
    if not scores:
        return None
    return min(1.0, math.exp(sum(score.logprob for score in scores) / len(scores)))
