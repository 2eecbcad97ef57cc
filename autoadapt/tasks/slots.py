"""Slots of the search space: instructions that are written during the search.

Optuna freezes the choices of a parameter when a study begins, so that all slots are choices from the beginning. One
that is not filled yet cannot be tried; once it is filled, its instruction never changes.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.proposal import SLOT, FilledSlot
from autoadapt.domain.space import Branch, Choices, Names, Range, SearchSpace
from autoadapt.errors import UserError

FIRST = 0
"""The slot of the library."""


def with_slots(space: SearchSpace, count: int) -> SearchSpace:
    """A search space with the parameter `slot`: 0, where `instruction` decides, and `count` slots to be filled.

    Raises:
        UserError: the space has a parameter of that name.
    """
    if SLOT in space.shared:
        raise UserError(f"search space, shared.{SLOT}: it comes with `proposer` in the task; remove it from the space")
    instruction = space.shared["instruction"]
    # a method that knows no slots has no value for it
    conditional = instruction.model_copy(update={"when": {**instruction.when, SLOT: [FIRST, None]}})
    slots = Names(choices=[*range(count + 1)])
    return space.model_copy(update={"shared": {SLOT: slots, **space.shared, "instruction": conditional}})


def slot_of(candidate: Candidate) -> int:
    """The slot that a candidate uses; 0: none."""
    return int(candidate.params.get(SLOT) or FIRST)


@dataclass
class Slots:
    """The slots of one study."""

    filled: dict[int, FilledSlot] = field(default_factory=dict)
    """By number. Filled while the search runs, and before it from what an earlier run has left."""
    _arms: tuple[tuple[int, ...], Mapping[str, Branch], Mapping[str, Branch]] | None = None
    """Filled slots, arms, and what these are with them."""

    def of(self, candidate: Candidate) -> FilledSlot | None:
        """What a candidate uses; None: no slot, or one that is not filled yet."""
        return self.filled.get(slot_of(candidate))

    def obstacle(self, candidate: Candidate) -> str | None:
        """Why a candidate cannot be tried yet; None: nothing speaks against it."""
        slot = slot_of(candidate)
        return f"slot {slot} has no instruction yet" if slot != FIRST and slot not in self.filled else None

    def open_arms(self, arms: Mapping[str, Branch]) -> Mapping[str, Branch]:
        """Arms in which no slot may be drawn that is not filled; the same object as long as none is filled.

        Args:
            arms: of the search space.
        """
        now = tuple(sorted(self.filled))
        if self._arms is None or self._arms[:2] != (now, arms):
            self._arms = now, arms, {name: _opened(arm, now) for name, arm in arms.items()}
        return self._arms[2]


def _opened(arm: Branch, filled: tuple[int, ...]) -> Branch:
    spec: Choices | Range | None = arm.specs.get(SLOT)
    if not isinstance(spec, Names):
        return arm
    choices = [choice for choice in spec.choices if choice == FIRST or choice in filled]
    return dataclasses.replace(arm, specs={**arm.specs, SLOT: spec.model_copy(update={"choices": choices})})
