"""Proposal: an instruction that a proposer has written for a slot; FilledSlot: a slot with its instruction."""

from typing import Literal

from pydantic import Field

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.strict import StrictModel
from autoadapt.domain.usage import Usage

SLOT = "slot"
"""The parameter of a prompt that says which slot its instruction is taken from; 0: the library of the search space."""


class TriedInstruction(StrictModel):
    """An instruction that a proposer has looked at."""

    text: str
    origin: str
    """Where it comes from: the name of an instruction of the library, or how it was written."""
    rows: int = Field(default=0, ge=0)
    """Training rows on which it was scored."""
    score: float | None = None
    """Mean score on these rows; None: it was scored on none."""
    tokens: float | None = None
    """Mean length of the prompts of these rows in tokens."""
    dropped: bool = False
    """Whether others were shown to be better before it was scored on all rows."""


class Proposal(StrictModel):
    """What a proposer has come to."""

    kind: Literal["proposal"] = "proposal"
    instruction: str | None
    """Plain text; None: it wrote none that is worth a trial."""
    tried: list[TriedInstruction] = Field(default=[])
    """In the order in which they came."""
    requests: int = Field(default=0, ge=0)
    """Questions to the proposing model."""
    answers: int = Field(default=0, ge=0)
    """Training rows answered by the model under search, those of all instructions together."""
    usage: Usage = Usage()
    """Tokens of both models, and what providers billed."""


class FilledSlot(StrictModel):
    """A slot that was filled. It never changes."""

    version: Literal[1] = 1
    slot: int = Field(ge=1)
    instruction: str
    """Plain text, shown where an instruction of the library would be shown."""
    candidate: Candidate
    """The one for which it was written: the best prompt so far."""
    trial: int
    """Its trial."""
    proposer: str
    model: str
    """Name of the proposing model."""
    usage: Usage
    """What filling it and the slots before it has used, failed attempts included: their instructions were known when
    this one was written. An option that uses the slot bears it."""
    proposal: Proposal


def plain_instruction(text: str) -> str:
    """A text as an instruction: without what a template would take for its own signs.

    An instruction is rendered as a template. Signs of Jinja in a text that a model has written are parted by a space,
    so that they are shown and not run.
    """
    for sign in ("{{", "}}", "{%", "%}", "{#", "#}"):
        while sign in text:
            text = text.replace(sign, f"{sign[0]} {sign[1]}")
    return text.strip()
