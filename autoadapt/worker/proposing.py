"""Writing an instruction: what a proposer works with in a worker, counted and limited."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fit, PromptText, Propose
from autoadapt.domain.method import Answer
from autoadapt.domain.metric import answered_rows
from autoadapt.domain.model import ModelReference
from autoadapt.domain.proposal import Proposal, plain_instruction
from autoadapt.domain.proposer import Judged, ProposalContext, Proposer
from autoadapt.domain.rows import Row
from autoadapt.domain.selector import Select
from autoadapt.domain.usage import Usage
from autoadapt.prompts.rendering import Prompt
from autoadapt.shelves import PROPOSERS, selector_of
from autoadapt.worker.examples import choose_examples
from autoadapt.worker.measuring import Bench, documents_of, rows_of
from autoadapt.worker.unsaved import as_fit, opened, used_apart_from_time
from autoadapt.worker.workshop import Workshop

MOST_ROWS = 1000
"""Training rows on which instructions are scored, at most."""
WRITER = "prompt"
"""The method by which the proposing model is asked."""


def propose(bench: Bench, job: Propose, folder: Path, workshop: Workshop) -> Proposal:
    """Asks the proposer for an instruction.

    Args:
        bench: the run, its metric and devices.
        job: which slot, proposer and models.
        folder: of the job.
        workshop: the models of this process.
    """
    proposer = PROPOSERS.new(job.proposer.name, job.proposer.settings)
    desk = _Desk(bench, job, folder, workshop, proposer)
    proposed = proposer.propose(desk.context())
    text = None if proposed.instruction is None else plain_instruction(proposed.instruction)
    return Proposal(
        instruction=text or None,
        tried=list(proposed.tried),
        requests=desk.requests,
        answers=desk.answers,
        usage=desk.usage,
    )


@dataclass
class _Desk:
    """Both models as the proposer asks them, and what they have used."""

    bench: Bench
    job: Propose
    folder: Path
    workshop: Workshop
    proposer: Proposer
    usage: Usage = field(default_factory=Usage)
    requests: int = 0
    answers: int = 0
    _began: float = field(default_factory=time.monotonic)
    _known: dict[tuple[str, int], Judged] = field(default_factory=dict)
    """By instruction and row."""
    _asked: dict[str, str] = field(default_factory=dict)
    """Answers of the proposing model."""

    def __post_init__(self) -> None:
        rows = rows_of(self.bench.run, "train")
        random.Random(self.job.seed).shuffle(rows)
        # an example of a prompt that is also the question would tell its own answer
        count = min(MOST_ROWS, max(1, len(rows) // 2))
        self._rows = rows[:count]
        self._select, _ = choose_examples(
            _by_words(self.job), lambda: rows[count:], lambda: documents_of(self.bench.run)
        )
        if self.job.proposing_model.family != self.job.model.family:
            writer = self.workshop.family(self.job.proposing_model.family)
            writer.begin(self.bench.run, self.folder, self._fit(self.job.proposing_model, self.job.candidate, "", ""))

    def context(self) -> ProposalContext:
        """What the proposer is given."""
        job = self.job
        return ProposalContext(
            starts={name: self._plain(source) for name, source in job.starts.items()},
            rows=self._rows,
            labels=job.labels or [],
            multi_label=job.multi_label,
            seed=job.seed,
            judge=self.judge,
            ask=self.ask,
            may_go_on=self.may_go_on,
            tick=self.bench.tick,
        )

    def may_go_on(self) -> bool:
        """Whether tokens, time and money allow another step."""
        tokens, limit = self.usage.tokens_in + self.usage.tokens_cached + self.usage.tokens_out, self.job.most_seconds
        return (
            (self.proposer.settings.tokens is None or tokens < self.proposer.settings.tokens)
            and (limit is None or time.monotonic() - self._began < limit)
            and (self.job.most_usd is None or self.usage.usd < self.job.most_usd)
        )

    def judge(self, instruction: str, rows: Sequence[Row]) -> list[Judged]:
        """Rows answered by the model under search behind an instruction, and scored."""
        new = [row for row in rows if (instruction, row.id) not in self._known]
        if new:
            job = self._fit(self.job.model, self.job.candidate, self.job.prompt.template, instruction)
            answers = self._answers(job, self._select, [row.input for row in new])
            texts = [answer.text for answer in answers]
            scores = self.bench.metric.score(answered_rows(new, texts, self.job.labels))
            self._count(scores.usage)
            self.answers += len(new)
            for row, answer, stats in zip(new, answers, scores.stats, strict=True):
                self._known[instruction, row.id] = Judged(row, answer.text, stats[0], answer.tokens_in)
        return [self._known[instruction, row.id] for row in rows]

    def ask(self, requests: Sequence[str]) -> list[str]:
        """Answers of the proposing model; a request that was made before costs nothing."""
        new = [text for text in dict.fromkeys(requests) if text not in self._asked]
        if new:
            model = self.job.proposing_model
            candidate = Candidate(method=WRITER, model=model.name, params={"template": "request"})
            job = self._fit(model, candidate, "{{ input }}", "").model_copy(
                update={
                    "labels": None,
                    "multi_label": False,
                    "input_columns": [],
                    "max_new_tokens": self.proposer.settings.max_new_tokens,
                }
            )
            answers = self._answers(job, None, new)
            self.requests += len(new)
            self._asked |= {text: answer.text for text, answer in zip(new, answers, strict=True)}
        return [self._asked[text] for text in requests]

    def _plain(self, source: str) -> str:
        """An instruction of the library as it is shown, with the labels in it."""
        shown = Prompt("{{ instruction }}", source, self.job.labels or [], self.job.multi_label).instruction
        return plain_instruction(shown)

    def _fit(self, model: ModelReference, candidate: Candidate, template: str, instruction: str) -> Fit:
        """A job as a fit states it, for a model behind another prompt."""
        prompt = PromptText(template=template, instruction=instruction)
        return as_fit(self.job, prompt=prompt, model=model, candidate=candidate)

    def _answers(self, job: Fit, select: Select | None, inputs: Sequence[str]) -> list[Answer]:
        adapted = opened(self.bench, job, select, self.workshop)
        try:
            adapted.prepare(inputs)
            answers = adapted.answer(inputs)
        finally:
            adapted.close()
        for answer in answers:
            self._count(used_apart_from_time(answer))
        self.bench.tick()
        return answers

    def _count(self, usage: Usage) -> None:
        self.usage = self.usage.plus(usage)


def _by_words(job: Propose) -> Propose:
    """The job with examples that are chosen by words where its candidate's are chosen by vectors.

    Vectors are those of all training rows, and these examples come from a part of them.
    """
    params = job.candidate.params
    if not params.get("shots") or not selector_of(params).needs_vectors:
        return job
    candidate = job.candidate.model_copy(update={"params": {**params, "selector": "nearest"}})
    return job.model_copy(update={"candidate": candidate})
