"""Proposer: writes instructions from the failures of others. The shelf ``proposers/`` holds one per file.

A proposer is asked once for every slot, in a worker. It sees training rows alone; the rows that judge an option later
are never shown to it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from autoadapt.domain.proposal import TriedInstruction
from autoadapt.domain.rows import Row
from autoadapt.domain.strict import PathText, StrictModel

MOST_PROMPT_SLOTS = 8


class ProposerSettings(StrictModel):
    """What every proposer is told in the task."""

    model: PathText
    """The model that writes instructions: a name as in `models`, of one that writes free text. It need not be searched;
    settings of a model behind a server stand in `remote`, by its name."""
    slots: int = Field(default=2, ge=1, le=MOST_PROMPT_SLOTS)
    """Slots, each filled once with one instruction."""
    budget_share: float = Field(default=0.1, gt=0, le=0.5)
    """Greatest share of the budget's hours, device-hours and dollars for filling all slots together."""
    tokens: int | None = Field(default=None, ge=1000)
    """Tokens of both models, read and written, after which filling one slot ends; null: the budget alone ends it."""
    max_new_tokens: int = Field(default=400, ge=16, le=4096)
    """Longest answer of the proposing model."""


@dataclass(frozen=True)
class Judged:
    """A training row answered behind an instruction."""

    row: Row
    answer: str
    score: float
    """From 0 to 1."""
    tokens: int
    """Of the prompt."""


@dataclass(frozen=True)
class ProposalContext:
    """What a proposer works with.

    Args:
        starts: instructions that are known, by name, the one that is used in the best prompt first.
        rows: training rows to score instructions on, shuffled; none of them is an example in a prompt.
        labels: to choose from; empty for free text.
        multi_label: whether an answer is a set of labels.
        seed: of everything random.
        judge: answers rows behind an instruction; a row that was answered before is not answered again.
        ask: answers of the proposing model to requests. The same request gets the same answer.
        may_go_on: whether tokens, time and money allow further work; asked before each step.
        tick: called while progress is made.
    """

    starts: Mapping[str, str]
    rows: Sequence[Row]
    labels: Sequence[str]
    multi_label: bool
    seed: int
    judge: Callable[[str, Sequence[Row]], list[Judged]]
    ask: Callable[[Sequence[str]], list[str]]
    may_go_on: Callable[[], bool]
    tick: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Proposed:
    """What came of it.

    Args:
        instruction: None: none that is worth a trial.
        tried: everything that was looked at.
    """

    instruction: str | None
    tried: Sequence[TriedInstruction] = ()


class Proposer(ABC):
    """Writes an instruction. Its settings are those of `ProposerSettings` and its own."""

    Settings: ClassVar[type[ProposerSettings]] = ProposerSettings

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def propose(self, context: ProposalContext) -> Proposed:
        """An instruction that may be better than those known."""

    def missing(self) -> str | None:
        """What must be installed for it, as a command; None: nothing is missing."""
        return None
