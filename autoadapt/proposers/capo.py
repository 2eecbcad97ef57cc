"""Evolution of instructions in races, after CAPO (Zehle et al. 2025, "CAPO: Cost-Aware Prompt Optimization").

The instructions of the library are the first population. In each generation the proposing model joins two of them
(crossover) and rewrites what came of it (mutation), with wrong answers of the best instruction before its eyes. Parents
and children are then scored on blocks of the same training rows, and after every block those are dropped than which
enough others are shown to be better (`autoadapt.verdict.elimination`). A longer prompt has to be better by what its
length costs. In contrast to CAPO, examples are not evolved: the search chooses them. The proposing model decodes
greedily; what varies is what it is asked, so that the same seed gives the same instructions.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import Field

from autoadapt.domain.proposal import TriedInstruction, plain_instruction
from autoadapt.domain.proposer import Judged, ProposalContext, Proposed, Proposer, ProposerSettings
from autoadapt.prompts.requests import (
    CHANGES,
    crossover_request,
    instruction_in,
    mutation_request,
)
from autoadapt.verdict.elimination import dropped


class CapoSettings(ProposerSettings):
    """How the population evolves."""

    population: int = Field(default=4, ge=2, le=20)
    """Instructions that survive a generation."""
    children: int = Field(default=4, ge=1, le=20)
    """Instructions that are written in a generation, by two requests each."""
    generations: int = Field(default=3, ge=1, le=20)
    """Generations for a slot."""
    block_rows: int = Field(default=20, ge=5, le=200)
    """Training rows of a block."""
    blocks: int = Field(default=5, ge=1, le=50)
    """Blocks on which an instruction is scored at most; fewer where there are fewer training rows."""
    error: float = Field(default=0.2, gt=0, lt=1)
    """Greatest chance that the better one of two instructions is taken to be the worse one, over all blocks."""
    length_penalty: float = Field(default=0.05, ge=0, le=1)
    """Score that a prompt must gain to be twice as long as that of the best instruction of the library."""
    mistakes: int = Field(default=4, ge=0, le=20)
    """Wrong answers shown in a request."""


@dataclass
class _Individual:
    text: str
    origin: str
    known: bool
    """Whether it was there before."""
    judged: list[Judged] = field(default_factory=list)
    dropped: bool = False

    @property
    def scores(self) -> list[float]:
        return [one.score for one in self.judged]

    @property
    def tokens(self) -> float:
        """Mean length of its prompts."""
        return sum(one.tokens for one in self.judged) / len(self.judged) if self.judged else 0.0


class Capo(Proposer):
    """Crossover, mutation, races over blocks of rows."""

    Settings: ClassVar[type[ProposerSettings]] = CapoSettings

    def propose(self, context: ProposalContext) -> Proposed:
        return _Evolution(self.settings, context).run()


class _Evolution:
    """One filling of a slot.

    Args:
        settings: `CapoSettings`.
        context: rows, models and limits.
    """

    def __init__(self, settings: Any, context: ProposalContext) -> None:
        self.settings: CapoSettings = settings
        self.context, self.random = context, random.Random(context.seed)
        size = settings.block_rows
        count = min(settings.blocks, max(1, len(context.rows) // size))
        self.blocks = [context.rows[i * size : (i + 1) * size] for i in range(count)]
        self.every: list[_Individual] = []

    def run(self) -> Proposed:
        """Evolves until generations or limits end it."""
        survivors = [self._new(text, name, known=True) for name, text in self.context.starts.items()]
        # the mistakes of the best one are needed; the others race when there is something to race against
        survivors[0].judged += self.context.judge(survivors[0].text, self.blocks[0])
        for generation in range(1, self.settings.generations + 1):
            if not self.context.may_go_on():
                break
            children = self._children(survivors, generation)
            survivors = self._race([*survivors, *children])
        return Proposed(self._chosen(survivors), [_tried(one) for one in self.every])

    def _new(self, text: str, origin: str, known: bool = False) -> _Individual:
        one = _Individual(text, origin, known)
        self.every.append(one)
        return one

    # -- writing

    def _children(self, parents: Sequence[_Individual], generation: int) -> list[_Individual]:
        """New instructions, each from two parents; what is no instruction, or is known, is left out."""
        mistakes, labels = self._mistakes(parents[0]), self.context.labels
        pairs = [self._pair(parents) for _ in range(self.settings.children)]
        joined = self.context.ask([crossover_request(a.text, b.text, labels) for a, b in pairs])
        crossed = [instruction_in(text) or a.text for text, (a, _) in zip(joined, pairs, strict=True)]
        if not self.context.may_go_on():
            return []
        changes = [self.random.choice(CHANGES) for _ in crossed]
        asked = [mutation_request(t, c, self._some(mistakes), labels) for t, c in zip(crossed, changes, strict=True)]
        known, children = {one.text for one in self.every}, []
        for text in self.context.ask(asked):
            instruction = instruction_in(text)
            child = plain_instruction(instruction) if instruction else ""
            if child and child not in known:
                known.add(child)
                children.append(self._new(child, f"generation {generation}"))
        return children

    def _pair(self, parents: Sequence[_Individual]) -> tuple[_Individual, _Individual]:
        """Two different parents, in random order; the same one twice where there is one alone."""
        if len(parents) < 2:
            return parents[0], parents[0]
        first, second = self.random.sample(list(parents), 2)
        return first, second

    def _mistakes(self, best: _Individual) -> list[Judged]:
        return [one for one in best.judged if one.score < 1]

    def _some(self, mistakes: Sequence[Judged]) -> list[Judged]:
        return self.random.sample(list(mistakes), min(self.settings.mistakes, len(mistakes)))

    # -- racing

    def _race(self, runners: Sequence[_Individual]) -> list[_Individual]:
        """Survivors, the best first: as many as the population has, or fewer."""
        left = list(runners)
        for number, block in enumerate(self.blocks, start=1):
            if number > 1 and (len(left) <= self.settings.population or not self.context.may_go_on()):
                break
            for one in left:
                if len(one.judged) < number * self.settings.block_rows:
                    one.judged += self.context.judge(one.text, block)
            left = self._without_dropped(left, number)
        ranked = sorted(left, key=lambda one: -self._worth(one, left))
        return ranked[: self.settings.population]

    def _without_dropped(self, left: Sequence[_Individual], blocks: int) -> list[_Individual]:
        rows = min(len(one.judged) for one in left)
        scores = {i: one.scores[:rows] for i, one in enumerate(left)}
        advantages = {i: -self._penalty(one) for i, one in enumerate(left)}
        gone = dropped(scores, advantages, self.settings.population, self.settings.error, len(self.blocks))
        for i in gone:
            left[i].dropped = True
        return [one for i, one in enumerate(left) if i not in gone]

    def _penalty(self, one: _Individual) -> float:
        """What the length of its prompts costs, in units of the score."""
        reference = self.every[0].tokens
        return self.settings.length_penalty * (one.tokens / reference - 1) if reference and one.tokens else 0.0

    def _worth(self, one: _Individual, among: Sequence[_Individual]) -> float:
        """Mean score on the rows that all have answered, less what its length costs."""
        rows = min(len(other.judged) for other in among)
        return sum(one.scores[:rows]) / rows - self._penalty(one) if rows else 0.0

    def _chosen(self, survivors: Sequence[_Individual]) -> str | None:
        """The best new instruction, if it is better than every known one on the rows that all have answered."""
        finalists = [*survivors, *(one for one in self.every if one.known and one.judged and one not in survivors)]
        finalists = [one for one in finalists if one.judged]
        new = [one for one in survivors if not one.known and one.judged]
        if not new:
            return None
        best = max(new, key=lambda one: self._worth(one, finalists))
        known = max((self._worth(one, finalists) for one in finalists if one.known), default=0.0)
        return best.text if self._worth(best, finalists) > known else None


def _tried(one: _Individual) -> TriedInstruction:
    rows = len(one.judged)
    return TriedInstruction(
        text=one.text,
        origin=one.origin,
        rows=rows,
        score=sum(one.scores) / rows if rows else None,
        tokens=round(one.tokens, 1) if rows else None,
        dropped=one.dropped,
    )
