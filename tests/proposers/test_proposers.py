"""Proposers on a world in which it is known how good an instruction is."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from autoadapt.domain.proposer import Judged, ProposalContext, Proposed
from autoadapt.domain.rows import Row
from autoadapt.errors import UserError
from autoadapt.shelves import PROPOSERS

GOOD, BAD = "Look at the noun.", "Guess."
WORDS = ("noun", "kind", "colour", "number")


@dataclass
class World:
    """Every word of `WORDS` in an instruction makes a fifth of the rows right; a writer adds one to what it is shown."""

    rows: int = 200
    most_steps: int = 10_000
    writer: Callable[[str], str] | None = None
    asked: list[str] = field(default_factory=list)
    answered: int = 0
    steps: int = 0

    def quality(self, instruction: str) -> float:
        return 0.2 + 0.2 * sum(word in instruction for word in WORDS)

    def judge(self, instruction: str, rows: Sequence[Row]) -> list[Judged]:
        self.answered += len(rows)
        right = [random.Random(row.id).random() < self.quality(instruction) for row in rows]
        tokens = 10 + len(instruction.split())
        return [Judged(r, "yes" if ok else "no", float(ok), tokens) for r, ok in zip(rows, right, strict=True)]

    def ask(self, requests: Sequence[str]) -> list[str]:
        self.asked += requests
        return [self.writer(text) if self.writer is not None else self._written(text) for text in requests]

    def _written(self, request: str) -> str:
        """An instruction with all words of the request's instructions, and one more."""
        part = re.sub(r"<mistake>.*?</mistake>", "", request, flags=re.DOTALL).split("Rewrite")[0]
        known = [word for word in WORDS if f"the {word}" in part]
        more = next((word for word in WORDS if word not in known), WORDS[0])
        text = "Look at " + " and ".join(f"the {word}" for word in [*known, more]) + "."
        return f"<instruction>{text}</instruction>\n```\n{text}\n```"

    def may_go_on(self) -> bool:
        self.steps += 1
        return self.steps <= self.most_steps

    def context(self, seed: int = 0) -> ProposalContext:
        rows = [Row(id=i, input=f"input {i}", outputs=["yes"]) for i in range(self.rows)]
        starts = {"none": "", "options": GOOD, "bad": BAD}
        return ProposalContext(starts, rows, ["yes", "no"], False, seed, self.judge, self.ask, self.may_go_on)


def propose(name: str, world: World, seed: int = 0, **settings: Any) -> Proposed:
    return PROPOSERS.new(name, {"model": "m", **settings}).propose(world.context(seed))


@pytest.mark.parametrize("name", ["capo", "gepa"])
def test_a_better_instruction_is_found_and_all_that_was_tried_is_told(name: str) -> None:
    world = World()
    found = propose(name, world)
    assert found.instruction is not None
    assert world.quality(found.instruction) >= world.quality(GOOD) + 0.2
    tried = {one.text: one for one in found.tried}
    assert {found.instruction, GOOD} <= set(tried)
    assert tried[found.instruction].score is not None
    assert all(one.rows == 0 or one.score is not None for one in found.tried)


@pytest.mark.parametrize("name", ["capo", "gepa"])
def test_same_seed_gives_the_same_instruction_and_requests(name: str) -> None:
    one, two = World(), World()
    assert propose(name, one, seed=5) == propose(name, two, seed=5)
    assert one.asked == two.asked


@pytest.mark.parametrize("name", ["capo", "gepa"])
@pytest.mark.parametrize(
    "answer", ["", f"<instruction>{BAD}</instruction>\n```\n{BAD}\n```", "{{ labels }}", "x" * 9000]
)
def test_a_writer_that_writes_nothing_better_gives_no_instruction(name: str, answer: str) -> None:
    assert propose(name, World(writer=lambda request: answer)).instruction is None


@pytest.mark.parametrize("name", ["capo", "gepa"])
def test_limits_end_the_work(name: str) -> None:
    free, limited = World(), World(most_steps=4)
    propose(name, free)
    propose(name, limited)
    assert limited.answered < 0.7 * free.answered
    assert len(limited.asked) < len(free.asked)


@pytest.mark.parametrize("name", ["capo", "gepa"])
def test_a_failure_of_a_model_is_not_hidden(name: str) -> None:
    def fail(request: str) -> str:
        raise UserError("the server is gone")

    with pytest.raises(UserError, match="the server is gone"):
        propose(name, World(writer=fail))


def test_a_long_instruction_must_be_better_by_what_its_length_costs() -> None:
    text = GOOD + " Please be very careful and think about it." * 10
    world = World(writer=lambda request: f"<instruction>{text}</instruction>")
    assert propose("capo", world).instruction is None, "equally good and longer"


def test_mistakes_of_the_best_instruction_are_shown() -> None:
    world = World()
    propose("capo", world, generations=1)
    rewritten = [request for request in world.asked if "Rewrite the instruction" in request]
    assert rewritten
    assert all("<mistake>" in request for request in rewritten)


def test_gepa_answers_two_small_batches_for_a_proposal_that_is_not_taken_on() -> None:
    world = World(writer=lambda request: f"```\n{BAD}\n```")
    propose("gepa", world, rounds=4, batch_rows=6, rows=30)
    assert world.answered == 30 + 4 * 2 * 6


@pytest.mark.parametrize("name", PROPOSERS.names())
def test_settings_name_the_model_and_keep_their_limits(name: str) -> None:
    with pytest.raises(UserError, match="model"):
        PROPOSERS.new(name, {"slots": 2})
    with pytest.raises(UserError, match="slots"):
        PROPOSERS.new(name, {"model": "m", "slots": 9})
