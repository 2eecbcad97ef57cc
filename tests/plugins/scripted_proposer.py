"""A proposer whose instruction is known: scripted models answer better behind it by as much as it says."""

import time
from typing import Any, ClassVar

from pydantic import Field

from autoadapt.domain.proposal import TriedInstruction
from autoadapt.domain.proposer import ProposalContext, Proposed, Proposer, ProposerSettings


class ScriptedSettings(ProposerSettings):
    """What it does."""

    gain: float = 0.2
    """By which its first instruction is better; each further slot's is better by half as much again."""
    steps: int = Field(default=1, ge=1)
    """Requests, one after the other."""
    step_seconds: float = 0.0
    writes: bool = True
    fails: bool = False


class ScriptedProposer(Proposer):
    """Judges ten rows and asks once for each step; then it knows what to write."""

    Settings: ClassVar[type[ProposerSettings]] = ScriptedSettings

    def propose(self, context: ProposalContext) -> Proposed:
        settings: Any = self.settings
        start = next(iter(context.starts.values()))
        for step in range(settings.steps):
            if not context.may_go_on():
                break
            judged = context.judge(start, context.rows[:10])
            context.ask([f"request {step}: {judged[0].answer}"])
            end = time.monotonic() + settings.step_seconds
            while time.monotonic() < end:
                time.sleep(0.02)
                context.tick()
        if settings.fails:
            raise RuntimeError("it was told to fail")
        written = sum(name.startswith("slot ") for name in context.starts)
        text = f"Name the kind of thing. ({settings.gain * 1.5**written:+.3f})"
        tried = [TriedInstruction(text=start, origin="library", rows=10, score=0.5)]
        return Proposed(text if settings.writes else None, tried)
