"""When an instruction is written during a search, what that may take, and what becomes of it.

A slot is filled by one job. It is begun when the prompts that a study begins with have been tried and one was measured
in full, when the best prompt still answers rows wrongly, and when the slot filled before was worth it: the prompt that
it was written for is better with it than without it. All slots together may take `budget_share` of the budget,
and a slot is not filled unless the budget also pays for a trial that uses it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from autoadapt.domain.candidate import Candidate, Params
from autoadapt.domain.executor import Finished
from autoadapt.domain.jobs import Fidelity, Fit, JobBase, Propose, seed_of
from autoadapt.domain.outcome import Failure, Outcome
from autoadapt.domain.proposal import SLOT, FilledSlot, Proposal
from autoadapt.domain.space import Choices
from autoadapt.domain.usage import Usage, total_usage
from autoadapt.economics.usage_costs import usage_usd
from autoadapt.providers.answer_store import billed_by_job
from autoadapt.runs.run_folder import Record
from autoadapt.runs.slots import keep_slot, read_slot
from autoadapt.study.during_search import (
    MOST_FAILURES,
    Surroundings,
    has_failed_enough,
    used,
)
from autoadapt.tasks.proposing_model import LEAST_ROWS, proposer_of
from autoadapt.tasks.slots import slot_of

LEAST_WRONG = 0.02
"""Share of the best quality there can be that the best prompt must lack, or nothing is to be gained."""
LEAST_WORK = 2.0
"""Times the work of the best prompt's fit that filling a slot must be able to take, or it would learn nothing."""


@dataclass
class Proposing(Surroundings):
    """The slots of one search."""

    running: Propose | None = None
    """The job that runs."""

    def resume(self) -> None:
        """Takes what an earlier run has left: slots that are filled stay as they are."""
        if self.resolved.task.proposer is None or not self.folder.lasting:
            return
        self._records = [r for r in self.folder.records if isinstance(r.job, Propose)]
        for slot in self._numbers():
            filled = read_slot(self.folder.root, slot) or self._lost(slot)
            if filled is not None:
                self._open(filled)
        self._ended = any(
            isinstance(r.outcome.result, Proposal) and r.outcome.result.instruction is None
            for r in self._records
            if r.outcome is not None
        )

    def begin(self, tried: dict[str, int]) -> bool:
        """Begins to fill a slot if it is time; whether it has.

        Args:
            tried: candidates that were tried or run, by key.
        """
        job = self._due(tried)
        if job is None:
            return False
        self.running = job
        self.emit(
            "note",
            f"slot {job.slot}: {job.proposing_model.name} writes an instruction for the prompt of trial {job.trial}",
            job.trial,
        )
        self.supervisor.submit(job, self.folder.prepare(job))
        return True

    def take(self, finished: Finished) -> bool:
        """Takes what came of a job that `begin` has begun; whether a slot is filled now."""
        job, outcome = finished.job, finished.outcome
        record = Record(finished.folder, job, outcome)
        self._records.append(record)
        if not isinstance(job, Propose) or finished.retried:
            return False
        self.running = None
        result = outcome.result
        if isinstance(result, Proposal) and result.instruction is not None:
            filled = self._kept(record)
            self._open(filled)
            self.emit("note", f"slot {job.slot} is filled{_told(filled)}", job.trial)
            return True
        if isinstance(result, Proposal):
            self.end(f"slot {job.slot} stays empty: no instruction was better than those known{_spent(outcome)}")
        elif isinstance(result, Failure):
            self.emit("note", f"slot {job.slot} was not filled: {result}", job.trial)
        return False

    # -- slots that are filled

    def _numbers(self) -> Iterator[int]:
        spec = self.resolved.space.space.shared[SLOT]
        return (int(c) for c in (spec.choices if isinstance(spec, Choices) else ()) if c)

    def _done(self, slot: int) -> Record | None:
        """The first job that has written an instruction for a slot."""
        return next(
            (
                r
                for r in self._of(slot)
                if r.outcome is not None and isinstance(r.outcome.result, Proposal) and r.outcome.result.instruction
            ),
            None,
        )

    def _lost(self, slot: int) -> FilledSlot | None:
        """A slot whose file is not there: from the job that has written its instruction, or from one that used it."""
        done = self._done(slot)
        if done is not None:
            return self._kept(done)
        proposing = self.resolved.proposing
        jobs = (r.job for r in self.folder.records if isinstance(r.job, Fit) and slot_of(r.job.candidate) == slot)
        job = next(jobs, None)
        if job is None or proposing is None or self.resolved.task.proposer is None:
            return None
        recovered = FilledSlot(
            slot=slot,
            instruction=job.prompt.instruction,
            candidate=job.candidate,
            trial=job.trial,
            proposer=self.resolved.task.proposer.name,
            model=proposing.reference.name,
            usage=job.instruction_usage,
            proposal=Proposal(instruction=job.prompt.instruction),
        )
        return keep_slot(self.folder.root, recovered)

    def _of(self, slot: int) -> list[Record]:
        return [r for r in self._records if isinstance(r.job, Propose) and r.job.slot == slot]

    def _kept(self, record: Record) -> FilledSlot:
        """The slot as it stands in the run folder, where it is written once."""
        job, outcome = record.job, record.outcome
        if not isinstance(job, Propose) or outcome is None or not isinstance(outcome.result, Proposal):
            raise TypeError("a slot is filled by a proposal alone")
        proposal, billed = outcome.result, billed_by_job(self.folder.root)
        return keep_slot(
            self.folder.root,
            FilledSlot(
                slot=job.slot,
                instruction=proposal.instruction or "",
                candidate=job.candidate,
                trial=job.trial,
                proposer=job.proposer.name,
                model=job.proposing_model.name,
                # what the slots before it hold was known when it was written
                usage=total_usage(
                    used(r, r.outcome, billed)
                    for r in self._records
                    if isinstance(r.job, Propose) and r.job.slot <= job.slot and r.outcome is not None
                ),
                proposal=proposal,
            ),
        )

    def _open(self, filled: FilledSlot) -> None:
        """Lets a slot be drawn; the prompt that it was written for is tried with it first."""
        self.resolved.slots.filled[filled.slot] = filled
        self.portfolio.add(with_slot(filled.candidate, filled.slot))

    # -- whether another one is worth it

    def _due(self, tried: dict[str, int]) -> Propose | None:
        """The job that should be begun now; None: it is too early, or nothing more is to be gained."""
        choice = self.resolved.task.proposer
        if self._ended or choice is None or self.running is not None or not self._writes():
            return None
        if self.nothing_new(tried):
            return None
        slot = next((n for n in self._numbers() if n not in self.resolved.slots.filled), None)
        best = self._best()
        if slot is None or best is None or not self.budget.may_try():
            return None
        if self.too_few_prompts(tried):
            return None
        if has_failed_enough(self._of(slot)):
            self.end(f"slot {slot} stays empty: filling it has failed {MOST_FAILURES} times")
            return None
        if 1 - self.quality(best) < LEAST_WRONG:
            return None
        if slot > 1 and not self._was_worth_it(slot - 1, tried):
            return None
        return self._affordable(self._job(slot, best))

    def _writes(self) -> bool:
        return self.folder.lasting and self.supervisor.saves and len(self.resolved.splits.train) >= LEAST_ROWS

    def _best(self) -> Record | None:
        """The best prompt measured in full."""
        return max(self.prompts(), key=lambda r: (self.quality(r), -r.job.trial), default=None)

    def _was_worth_it(self, slot: int, tried: dict[str, int]) -> bool:
        """Whether the prompt that a slot was written for is better with it than without it."""
        filled, measured = self.resolved.slots.filled[slot], self.results.trials
        trial = tried.get(with_slot(filled.candidate, slot).key())
        if trial is None or not {trial, filled.trial} <= {*measured.trials()}:
            return False
        return self.quality(measured.record(trial)) > self.quality(measured.record(filled.trial))

    def _job(self, slot: int, best: Record) -> Propose:
        """The job that fills a slot; one that was interrupted is done again as it was."""
        earlier = self._of(slot)
        if earlier and isinstance(earlier[-1].job, Propose):
            return earlier[-1].job.model_copy(update={"attempt": len(earlier)})
        resolved, choice = self.resolved, self.resolved.task.proposer
        if choice is None or resolved.proposing is None:
            raise TypeError("a slot is filled by a proposer alone")
        candidate, trial = best.job.candidate, best.job.trial
        fit = resolved.fit_job(trial, candidate, 0, Fidelity(rows=1, steps=1.0, latency_requests=0))
        shared = {name: getattr(fit, name) for name in JobBase.model_fields}
        return Propose(
            **{
                **shared,
                "seed": seed_of(resolved.task.seed, -slot),
                "state_folder": f"trials/{trial:04d}/propose-{slot}",
            },
            slot=slot,
            proposer=choice,
            proposing_model=resolved.proposing.reference,
            starts=self._starts(candidate),
        )

    def _starts(self, best: Candidate) -> dict[str, str]:
        """Instructions known so far, that of the best prompt first."""
        space = self.resolved.space.space
        spec = space.shared["instruction"]
        names = [str(choice) for choice in spec.choices] if isinstance(spec, Choices) else []
        starts = {name: space.instructions[name] for name in names}
        starts |= {f"slot {n}": filled.instruction for n, filled in sorted(self.resolved.slots.filled.items())}
        shown = f"slot {slot_of(best)}" if slot_of(best) else str(best.params.get("instruction"))
        return {name: starts[name] for name in sorted(starts, key=lambda name: name != shown)}

    # -- what it may take

    def _affordable(self, job: Propose) -> Propose | None:
        """A job with the most that it may take; None: its share of the budget, or what is left of it, is too little."""
        settings = proposer_of(job.proposer).settings
        slots_left = sum(n not in self.resolved.slots.filled for n in self._numbers())
        spent = self.spent()
        trial = self.results.trials.record(job.trial)
        trial_seconds = trial.outcome.device_seconds if trial.outcome is not None else 0.0
        whole, left = self.ledger.device_seconds_of_budget(), self.budget.device_seconds_left()
        seconds = math.inf
        if whole is not None:
            seconds = (settings.budget_share * whole - spent.total_device_seconds) / slots_left
            seconds = min(seconds, (math.inf if left is None else left) - trial_seconds)
            if seconds < LEAST_WORK * trial_seconds:
                self.end(
                    f"slot {job.slot} stays empty: {settings.budget_share:.0%} of the budget, or what is left of it, "
                    f"does not pay for writing an instruction for trial {job.trial} and for trying it"
                )
                return None
        usd = self._usd(job, trial, settings.budget_share, slots_left, spent)
        if usd is not None and usd <= 0:
            self.end(f"slot {job.slot} stays empty: the budget does not pay what providers would bill for it")
            return None
        return self.limited(job, seconds, usd)

    def _usd(self, job: Propose, trial: Record, share: float, slots_left: int, spent: Usage) -> float | None:
        """What providers may bill before no further step is begun; None: no limit, or nothing is billed."""
        limit, models = self.resolved.task.budget.usd, self.resolved.capabilities
        proposing = self.resolved.proposing
        remote = models[job.model.name].remote or (proposing is not None and proposing.capabilities.remote)
        if limit is None or not remote:
            return None
        measured = trial.measurement
        a_trial = 0.0 if measured is None else measured.answering.usd + measured.timing.usd
        left = float(limit) - self.ledger.spent(0).usd - a_trial
        paid = float(usage_usd(spent, self.resolved.task.economics))
        most = min((share * float(limit) - paid) / slots_left, left)
        return most if most >= LEAST_WORK * a_trial else 0.0


def with_slot(candidate: Candidate, slot: int) -> Candidate:
    """A candidate whose instruction is that of a slot."""
    params: Params = {SLOT: slot, **{n: v for n, v in candidate.params.items() if n not in (SLOT, "instruction")}}
    return candidate.model_copy(update={"params": params})


def _told(filled: FilledSlot) -> str:
    proposal = filled.proposal
    best = next((t for t in proposal.tried if t.text == filled.instruction and t.score is not None), None)
    score = f", {best.score:.3f} on {best.rows} training rows" if best is not None and best.score is not None else ""
    return f" ({len(proposal.tried)} instructions looked at, {proposal.requests} requests{score})"


def _spent(outcome: Outcome) -> str:
    result = outcome.result
    return f" ({len(result.tried)} were looked at)" if isinstance(result, Proposal) else ""
