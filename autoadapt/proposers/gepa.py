"""Reflective evolution of instructions by the package gepa (Agrawal et al. 2025, MIT licence).

It keeps the instructions that are best on some row, shows the proposing model a few rows that one of them has answered,
and takes the rewritten instruction on if it scores better on these same rows: two small batches for each proposal
before any full evaluation. The tokens of a prompt are a second objective.
"""

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from autoadapt.domain.proposal import TriedInstruction, plain_instruction
from autoadapt.domain.proposer import Judged, ProposalContext, Proposed, Proposer, ProposerSettings
from autoadapt.domain.rows import Row
from autoadapt.prompts.requests import MOST_CHARACTERS

COMPONENT = "instruction"
INSTALL = "pip install 'autoadapt[gepa]'"


class GepaSettings(ProposerSettings):
    """How much gepa does for a slot."""

    rounds: int = Field(default=8, ge=1, le=200)
    """Proposals, at most."""
    batch_rows: int = Field(default=5, ge=1, le=50)
    """Rows that are shown for one proposal; they are answered twice, before and after it."""
    rows: int = Field(default=40, ge=5, le=400)
    """Training rows on which an accepted instruction is scored in full."""


class Gepa(Proposer):
    """gepa.optimize with our models behind its adapter."""

    Settings: ClassVar[type[ProposerSettings]] = GepaSettings

    def missing(self) -> str | None:
        return None if importlib.util.find_spec("gepa") is not None else INSTALL

    def propose(self, context: ProposalContext) -> Proposed:
        from gepa.api import optimize

        settings: GepaSettings = self.settings
        # rows for reflection and rows for the score in full are others, as far as there are enough
        scored = list(context.rows[: max(1, min(settings.rows, len(context.rows) // 2))])
        shown = list(context.rows[len(scored) :]) or scored
        adapter: Any  # gepa's protocols state more than gepa asks for
        rounds: Any = _Rounds(settings.rounds, context)
        adapter, start = _Adapter(context, rounds), next((text for text in context.starts.values() if text), "")
        calls = len(scored) * (1 + settings.rounds) + 2 * settings.batch_rows * settings.rounds
        result: Any = optimize(
            seed_candidate={COMPONENT: start},
            trainset=shown,
            valset=scored,
            adapter=adapter,
            reflection_lm=rounds.ask,
            reflection_minibatch_size=min(settings.batch_rows, len(shown)),
            frontier_type="hybrid",
            max_metric_calls=calls,
            stop_callbacks=rounds.over,
            seed=context.seed % 2**32,
            logger=_Silent(),
            raise_on_exception=True,
        )
        if rounds.failure is not None:
            raise rounds.failure
        return _proposed(result, adapter, len(scored))


class _Rounds:
    """Counts proposals, and keeps the first failure of a model: gepa would log it and go on.

    Args:
        most: of them.
        context: whose limits hold too.
    """

    def __init__(self, most: int, context: ProposalContext) -> None:
        self._left, self._context = most, context
        self.failure: Exception | None = None

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """While entered, a failure is kept and ends the work."""
        try:
            yield
        except Exception as error:
            self.failure = self.failure or error
            raise

    def ask(self, prompt: Any) -> str:
        """The answer of the proposing model."""
        self._left -= 1
        text = prompt if isinstance(prompt, str) else "\n\n".join(str(part["content"]) for part in prompt)
        with self.watched():
            return self._context.ask([text])[0]

    def over(self, state: Any) -> bool:
        """Whether gepa shall end."""
        return self.failure is not None or self._left <= 0 or not self._context.may_go_on()


class _Adapter:
    """What gepa asks us (its GEPAAdapter protocol).

    Args:
        context: the models.
        rounds: is told of failures.
    """

    propose_new_texts = None

    def __init__(self, context: ProposalContext, rounds: _Rounds) -> None:
        self._context, self._rounds = context, rounds
        self.judged: dict[str, list[Judged]] = {}
        """All rows answered by instruction."""

    def evaluate(self, batch: list[Row], candidate: dict[str, str], capture_traces: bool = False) -> Any:
        """Scores of rows behind an instruction; the length of each prompt is an objective of its own."""
        from gepa.core.adapter import EvaluationBatch

        text = plain_instruction(candidate[COMPONENT])[:MOST_CHARACTERS]
        with self._rounds.watched():
            judged = self._context.judge(text, batch)
        self.judged.setdefault(text, []).extend(judged)
        return EvaluationBatch(
            outputs=[one.answer for one in judged],
            scores=[one.score for one in judged],
            trajectories=list(judged) if capture_traces else None,
            objective_scores=[{"score": one.score, "brevity": 1 / (1 + one.tokens)} for one in judged],
        )

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """What the proposing model is shown of rows that were answered."""
        shown = [
            {
                "Inputs": {"input": one.row.input},
                "Generated Outputs": one.answer,
                "Feedback": "right" if one.score >= 1 else f"wrong; right would be: {' or '.join(one.row.outputs)}",
            }
            for one in eval_batch.trajectories or ()
        ]
        return {component: shown for component in components_to_update}


class _Silent:
    """Takes gepa's messages, which repeat instructions and rows, and writes them nowhere."""

    def log(self, message: str) -> None:
        """Writes nothing."""


def _proposed(result: Any, adapter: _Adapter, rows: int) -> Proposed:
    """gepa's best instruction where it is better than the one it began with."""
    scores, texts = result.val_aggregate_scores, [plain_instruction(c[COMPONENT]) for c in result.candidates]
    best = max(range(len(scores)), key=lambda i: (scores[i], -_mean_tokens(adapter.judged.get(texts[i], ()))))
    in_full = dict(zip(texts, scores, strict=True))
    tried = [
        TriedInstruction(
            text=text,
            origin="library" if text == texts[0] else "reflection",
            rows=rows if text in in_full else len(judged),
            score=in_full.get(text, sum(one.score for one in judged) / len(judged)),
            tokens=round(_mean_tokens(judged), 1),
            dropped=text not in in_full,
        )
        for text, judged in adapter.judged.items()
        if judged
    ]
    better = scores[best] > scores[0] and texts[best] and texts[best] != texts[0]
    return Proposed(texts[best][:MOST_CHARACTERS] if better else None, tried)


def _mean_tokens(judged: Sequence[Judged]) -> float:
    return sum(one.tokens for one in judged) / len(judged) if judged else 0.0
