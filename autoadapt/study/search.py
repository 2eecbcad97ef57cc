"""The main loop: ask a candidate, run it rung by rung, tell its objectives, until the budget ends.

    with Search(resolved, folder, on_event) as search:
        take_up(search)          # autoadapt.study.resuming
        search.run(stop)
        rescore(search, stop)    # autoadapt.study.rescoring

Optuna holds which candidates were tried; the run folder holds what was measured. A trial is told to Optuna only after
its outcome is on disk, so whatever is killed, a resumed run finds every finished step and repeats none.
"""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import optuna

from autoadapt.domain.events import Event, EventKind, Status
from autoadapt.domain.history import History
from autoadapt.domain.option import Objectives
from autoadapt.domain.outcome import Failure, Outcome
from autoadapt.domain.plugins import Executor, Finished, Sampler
from autoadapt.domain.trial import Candidate, Fidelity, Step, params_line, seed_of
from autoadapt.errors import Exit, UserError
from autoadapt.study.ledger import Ledger
from autoadapt.study.portfolio import Portfolio
from autoadapt.study.racing import Runner, beaten_by
from autoadapt.study.resolve import EXECUTORS, SAMPLERS, Resolved, check_same, read_lock, write_lock
from autoadapt.study.results import Results
from autoadapt.study.run_folder import RunFolder, free_disk_bytes
from autoadapt.study.rungs import THREE_RUNGS, TWO_RUNGS, promising, rungs
from autoadapt.study.stop_signals import StopSignals
from autoadapt.study.storage import open_study, write_note
from autoadapt.study.trial_histories import TrialHistories
from autoadapt.verdict.objectives import objectives
from autoadapt.worker.run import METHODS

MOST_CACHE_HITS = 50
"""Repeated candidates in a row after which the space counts as searched through."""
LEAST_DISK_BYTES = 200_000_000
RETRIES = {"crash": 1, "oom": 1}
"""How often a step is tried again by class of failure; oom with micro-batches of half the size."""


@dataclass
class Active:
    """A trial that is being run."""

    trial: optuna.Trial
    candidate: Candidate
    straight: bool = False
    """Whether it gets all of the work at once."""
    rung: int = 0
    predicted: float = 0.0


class Search:
    """One study being searched.

    Args:
        resolved: the task.
        folder: its run folder, not yet opened.
        on_event: told of everything that happens.
        executor: where trials run; None takes the task's.
        storage: of the Optuna study; None takes the run folder's file.
        sampler: how candidates are chosen; None takes the task's.
        warm_start: folders of finished runs whose frontiers are tried first.
    """

    def __init__(
        self,
        resolved: Resolved,
        folder: RunFolder,
        on_event: Callable[[Event], None],
        executor: Executor | None = None,
        storage: optuna.storages.BaseStorage | None = None,
        sampler: Sampler | None = None,
        warm_start: Sequence[Path] = (),
    ) -> None:
        self.executor, self.storage = executor or EXECUTORS.new(resolved.task.compute.executor), storage
        self.warm_start = warm_start
        folder.now = self.executor.now
        self.resolved, self.task, self.folder, self.on_event = resolved, resolved.task, folder, on_event
        self.active: dict[int, Active] = {}
        self.queue: deque[int] = deque()
        """Active trials whose next step waits for a slot."""
        self.by_key: dict[str, int] = {}
        """Candidate key -> the trial that runs or ran it."""
        self.waiting: dict[int, list[optuna.Trial]] = defaultdict(list)
        """Repeated candidates of a trial that still runs."""
        self.points: dict[tuple[str, int], list[Objectives]] = defaultdict(list)
        """(method, rung) -> objectives seen there, for promotion."""
        self.runners: dict[int, Runner] = {}
        """Prompts measured in full, against which others race."""
        self.counts = {"complete": 0, "pruned": 0, "failed": 0, "cached": 0}
        self.last_failure: str | None = None
        self.stopped_by: str | None = None
        """The budget's limit that ended the search while steps were running or wanted, or None."""
        self.searched_through = False
        self.sampler = sampler or SAMPLERS.new(self.task.search.sampler)
        rows = min(self.task.evaluation.rows, len(resolved.splits.validation))
        self.trial_histories = TrialHistories(folder, self.task.economics, rows)

    def __enter__(self) -> "Search":
        self.folder.open()
        try:
            self._open()
        except BaseException:
            self.folder.close()
            raise
        return self

    def _open(self) -> None:
        lock = self.folder.root / "task.lock.yaml"
        check_same(lock, self.resolved)
        self.executor.start(self.folder.root, self.task.compute)
        before = read_lock(lock)
        self.resolved.splits.write(self.folder.root / "data")
        write_lock(lock, self.resolved, self.executor.devices, self.executor.slots)
        self.study = open_study(self.folder.root / "study.db", self.task.name, self.storage)
        if self.folder.lasting:
            write_note(self.study, self._about())
        self.portfolio = Portfolio(self.study, self.resolved.space, self.warm_start)
        notes = self.portfolio.load()
        self.ledger = Ledger(self.task, self.folder, self.executor.slots, self.executor.devices.count)
        self.results = Results(self.resolved, self.folder, self.executor.devices.kind)
        self.results.gone = set(self.study.user_attrs.get("gone", ()))
        self.emit("started", self._first_line())
        for note in [*notes, *self.resolved.splits.notes, *self.resolved.warnings]:
            self.emit("note", note)
        if before is not None and before["hardware"]["kind"] != self.executor.devices.kind:
            self.emit(
                "note",
                f"this study was begun on {before['hardware']['kind']}; options measured there are left off the "
                "frontier, for latencies of different hardware cannot be compared",
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.executor.close()
        self.folder.close()

    def run(self, stop: StopSignals) -> None:
        """Searches until the budget ends; returns early when a signal asked for it."""
        self.believe()
        while stop.code is None:
            self._fill()
            if all(self.trial_histories.paused(n) for n in self.active):
                break
            finished = self.executor.next_finished(timeout=0.5)
            if finished is not None:
                self._handle(finished)
            self.folder.tick()
            self._hold_budget()
            self.emit("progress", "")
        if stop.code is None:
            for number in [n for n in self.active if self.trial_histories.paused(n)]:
                self._finish(number, "pruned", "its next rung was not worth what it costs")

    # -- choosing what runs next

    def _fill(self) -> None:
        while self.executor.free:
            if not self.queue and (self.stopped_by is not None or not self._choose()):
                return
            number = self.queue.popleft()
            active = self.active[number]
            step = self._step(active)
            active.predicted = self.ledger.predict(step)
            if self.stopped_by is not None or not self._affordable(active.predicted, besides=number):
                self._give_up(number)
                continue
            if free_disk_bytes(self.folder.root) < LEAST_DISK_BYTES:
                self.stand_down()
                raise UserError(
                    f"{self.folder.root}: less than {LEAST_DISK_BYTES // 10**6} MB free; "
                    "make room and run the same command to resume",
                    Exit.ENVIRONMENT,
                )
            self.executor.submit(step, self.folder.prepare(step))
            if step.rung == 0 and step.attempt == 0:
                self.emit("trial_started", describe(active.candidate), number)

    def _choose(self) -> bool:
        """Puts a paused trial or a new candidate into the queue; False when nothing is to be had or paid for."""
        history = self.history()
        if not self.sampler.pauses:
            return self._ask(history)
        decision = self.sampler.decide(self._seed(), history)
        if decision.converged:
            if not self.searched_through:
                self.emit("note", "no further step promises a gain worth having: the search has converged")
            self.searched_through = True
            return False
        if decision.promote is not None:
            active = self.active[decision.promote]
            active.rung += 1
            self.trial_histories.state(decision.promote, "running")
            self.queue.append(decision.promote)
            self.emit("trial_promoted", f"goes on to rung {active.rung}", decision.promote)
            return True
        return self._ask(history, decision.straight)

    def _may_try(self) -> bool:
        limit = self.task.budget.trials
        return not self.searched_through and (limit is None or self.tried() < limit) and self._affordable(0.0)

    def _ask(self, history: History, straight: bool = False) -> bool:
        """Puts a new candidate into the queue; False when there is none to be had or paid for.

        Args:
            history: what the sampler may know.
            straight: whether it gets all of the work at once.
        """
        for _ in range(0 if self.searched_through else MOST_CACHE_HITS):
            if not self._may_try():
                return False
            if history.first and not self.sampler.pauses:
                self.portfolio.enqueue(history.first[0])
            self.study.sampler = self.sampler.build(self._seed(), history)
            if self.admit(self.study.ask(), straight):
                return True
        if not self.searched_through:
            self.emit("note", f"the last {MOST_CACHE_HITS} candidates were repeats: the space is searched through")
        self.searched_through = True
        return False

    def _seed(self) -> int:
        """Of the next decision: from the next trial's number and, with promotions, from what has finished."""
        number = len(self.study.get_trials(deepcopy=False))
        finished = self.trial_histories.finished if self.sampler.pauses else 0
        return seed_of(self.task.seed, number + 1_000_000 * finished)

    def history(self) -> History:
        """What the sampler may know."""
        resolved = self.resolved
        return History(
            trials=self.trial_histories.all(),
            branches=resolved.space.joint_branches(),
            models=tuple(self.task.models),
            tunes=frozenset(m for m in self.task.methods if METHODS.get(m).tunes),
            left_seconds=self.ledger.device_seconds_left(self._kept_back()),
            may_try=self._may_try(),
            constraints=self.task.constraints,
            least_gain=self.task.search.least_gain,
            first=tuple(self.portfolio.left(self.by_key)),
            job_seconds=self.portfolio.job_seconds,
        )

    def admit(self, trial: optuna.Trial, straight: bool = False) -> bool:
        """Suggests the trial's parameters; True if it must be run, False if the answer is known or on its way.

        Args:
            trial: as asked.
            straight: whether it gets all of the work at once.
        """
        candidate = self.resolved.space.suggest(trial)
        key = candidate.key()
        known = self.by_key.get(key)
        if known is None:
            self.by_key[key] = trial.number
            trial.set_user_attr("candidate", json.loads(candidate.model_dump_json()))
            self.trial_histories.begin(trial.number, candidate)
            if straight:
                trial.set_user_attr("straight", True)
            self.active[trial.number] = Active(trial, candidate, straight=bool(trial.user_attrs.get("straight")))
            self.queue.append(trial.number)
            return True
        if known in self.active:
            self.waiting[known].append(trial)
        else:
            self._answer_from_cache(trial, known)
        return False

    def _answer_from_cache(self, trial: optuna.Trial, known: int) -> None:
        original = self.study.get_trials(deepcopy=False)[known]
        trial.set_user_attr("same_as", known)
        complete = original.state == optuna.trial.TrialState.COMPLETE
        self.study.tell(trial, original.values if complete else None, state=original.state)
        self.counts["cached"] += 1
        self.emit("trial_cached", f"same candidate as trial {known}: answered from the cache", trial.number)

    def _step(self, active: Active) -> Step:
        number, ladder = active.trial.number, self._ladder(active)
        past = self.folder.of(number)
        ooms = sum(r.outcome is not None and _kind(r.outcome) == "oom" for r in past)
        state_folder = str(self.folder.trial(number).relative_to(self.folder.root))
        change = {
            "rung": active.rung,
            "attempt": sum(r.step.rung == active.rung for r in past),
            "micro_batches": 2**ooms,
            "keep_checkpoint": active.rung + 1 < len(ladder),
        }
        return self.resolved.step(number, active.candidate, ladder[active.rung], state_folder).model_copy(update=change)

    def _ladder(self, active: Active) -> list[Fidelity]:
        tunes = METHODS.get(active.candidate.method).tunes
        count = len(self.resolved.splits.validation)
        shares = THREE_RUNGS if self.sampler.pauses else TWO_RUNGS
        return rungs(
            tunes, self.task.evaluation, count, shares if self.task.search.rungs and not active.straight else ()
        )

    # -- taking results

    def _handle(self, finished: Finished) -> None:
        step, outcome = finished.step, finished.outcome
        self.folder.add(finished.folder, step, outcome)
        if outcome.failure is not None:
            self.handle_failure(step, outcome.failure)
            return
        active = self.active[step.trial]
        self.take(active, outcome)

    def take(self, active: Active, outcome: Outcome) -> None:
        """A measured step: on to the next rung, or the trial's end."""
        number, key = active.trial.number, (active.candidate.method, active.rung)
        found = objectives(outcome, self.resolved.metric, self.task.economics)
        peers = list(self.points[key])
        self.points[key].append(found)
        ladder, tunes = self._ladder(active), METHODS.get(active.candidate.method).tunes
        self.trial_histories.reach(number, active.rung, ladder[active.rung], tunes, outcome, found)
        runner = None if tunes or outcome.measurement is None else Runner.of(outcome.measurement, found)
        if active.rung + 1 < len(ladder):
            beaten = beaten_by(runner, self.runners) if runner is not None else None
            if beaten is not None:
                self._finish(
                    number, "pruned", f"quality {found.quality:.3f}: beaten by trial {beaten} on the same rows"
                )
            elif self.sampler.pauses:
                self.trial_histories.state(number, "paused")
            elif runner is not None or promising(found, peers):
                active.rung += 1
                self.queue.appendleft(number)
                self.emit("trial_promoted", f"quality {found.quality:.3f} on a part of the work", number)
            else:
                self._finish(number, "pruned", f"quality {found.quality:.3f} on a part of the work: not promising")
            return
        if runner is not None:
            self.runners[number] = runner
        active.trial.set_user_attr("quality", found.quality)
        values = [found.quality, found.cost_usd_per_1k, found.latency_ms]
        self.results.add(number, outcome)
        self._finish(
            number,
            "complete",
            f"{active.candidate.method}: quality {found.quality:.3f}, ${found.cost_usd_per_1k:.4g} per 1k, "
            f"latency {found.latency_ms:.1f} ms",
            values,
        )

    def handle_failure(self, step: Step, failure: Failure) -> None:
        number = step.trial
        reason = f"{failure.kind} in {failure.stage}: {failure.reason}"
        if failure.kind == "interrupted" and self.stopped_by is not None:
            self._give_up(number)
            return
        past = [r.outcome for r in self.folder.of(number) if r.step.rung == step.rung and r.outcome is not None]
        if sum(_kind(o) == failure.kind for o in past) <= RETRIES.get(failure.kind, 0):
            self.queue.appendleft(number)
            self.emit("note", f"trial {number}: {reason}; it is tried once more", number)
            return
        self.last_failure = f"trial {number} ({step.candidate.method}): {reason}"
        if failure.kind == "disk":  # the trial stays open, to be taken up when there is room
            self.stand_down()
            raise UserError(
                f"trial {number}: {failure.reason}; make room and run the same command to resume", Exit.ENVIRONMENT
            )
        self.active[number].trial.set_user_attr("failure", reason)
        self._finish(number, "failed", reason)

    def _give_up(self, number: int) -> None:
        """Ends a trial that the budget no longer pays for."""
        self.stopped_by = self.stopped_by or "budget"
        self.active[number].trial.set_user_attr("stopped_by", "budget")
        self._finish(number, "pruned", "the budget ended before it was done")

    def believe(self) -> None:
        """Tells the results what the sampler makes of the qualities measured."""
        if self.folder.lasting:
            self.results.believe(self.sampler.believed(self.history()))

    def _finish(self, number: int, state: str, message: str, values: list[float] | None = None) -> None:
        """Tells Optuna, answers those that waited for the same candidate, and lets go of files no longer needed."""
        active = self.active.pop(number)
        if number in self.queue:  # promoted, and the budget ended before a slot was free
            self.queue.remove(number)
        self.trial_histories.state(number, "failed" if state == "failed" else "done")
        if self.folder.lasting:
            active.trial.set_user_attr("ended", message)
            write_note(self.study, f"`{describe(active.candidate)}`\n\n{state}: {message}", active.trial)
        told = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}[state]
        self.study.tell(active.trial, values, state=optuna.trial.TrialState[told])
        self.counts[state] += 1
        if state == "complete":
            self.believe()
            self.results.write(self.status())
        kinds: dict[str, EventKind] = {
            "complete": "trial_finished",
            "pruned": "trial_pruned",
            "failed": "trial_failed",
        }
        self.emit(kinds[state], message, number)
        for trial in self.waiting.pop(number, []):
            self._answer_from_cache(trial, number)
        self.folder.drop_checkpoints(number)
        kept = self.results.let_go()
        if self.folder.lasting:
            self.study.set_user_attr("gone", sorted(self.results.gone))
        self.folder.drop_models(keep={*self.active, *kept})

    # -- budget

    def tried(self) -> int:
        return len(self.active) + self.counts["complete"] + self.counts["pruned"] + self.counts["failed"]

    def _kept_back(self) -> float:
        outcomes = self.results.outcomes_to_rescore()
        return self.ledger.kept_back(outcomes, self.task.evaluation, len(self.resolved.splits.test))

    def _affordable(self, seconds: float, besides: int | None = None) -> bool:
        held = self.executor.running_seconds()
        running = [(a.predicted, held.get(n, 0.0)) for n, a in self.active.items() if n != besides and n in held]
        return self.ledger.allows(seconds, running, self._kept_back())

    def _hold_budget(self) -> None:
        """Ends running steps once a limit is reached."""
        held = sum(self.executor.running_seconds().values())
        limit = self.ledger.reached(held, self._kept_back())
        if limit is not None and self.active:
            self.stopped_by = limit
            self.emit("note", f"{limit} is reached: running trials are ended")
            self._drain()

    def _drain(self) -> None:
        self.executor.kill_running(f"{self.stopped_by} was reached")
        while (finished := self.executor.next_finished(timeout=0.0)) is not None:
            self._handle(finished)
        for number in list(self.active):
            self._give_up(number)

    def stand_down(self) -> None:
        """Ends running steps for a signal; their trials stay open, to be taken up again."""
        self.executor.kill_running("the run was stopped")
        while (finished := self.executor.next_finished(timeout=0.0)) is not None:
            self.folder.add(finished.folder, finished.step, finished.outcome)
            if finished.outcome.failure is None and finished.step.trial in self.active:
                self.take(self.active[finished.step.trial], finished.outcome)

    # -- telling

    def status(self) -> Status:
        tried = self.tried()
        return Status(
            name=self.task.name,
            budget=self.task.budget,
            spent=self.ledger.spent(tried),
            running=tuple(sorted(self.executor.running_seconds())),
            frontier=tuple(self.results.frontier()),
            last_failure=self.last_failure,
            seconds_left=self.ledger.seconds_left(tried),
            **self.counts,
        )

    def emit(self, kind: EventKind, message: str, trial: int | None = None) -> None:
        self.on_event(Event(kind, message, self.status(), trial))

    def _first_line(self) -> str:
        splits, devices = self.resolved.splits, self.executor.devices
        return (
            f"{self.task.name}: {len(splits.train)} training, {len(splits.validation)} validation and "
            f"{len(splits.test)} test rows; {self.executor.slots} slot(s) of {devices.count} x {devices.kind}"
        )

    def _about(self) -> str:
        """The study's note in optuna-dashboard."""
        task = self.task
        return (
            f"# {task.name}\n\nAutoAdapt: which of {', '.join(task.methods)} on {', '.join(task.models)}?\n\n"
            f"- **quality**: {task.metric} on validation rows, from 0 to 1, more is better\n"
            "- **cost_usd_per_1k**: USD for 1,000 queries, training spread over their number\n"
            "- **latency_ms**: p95 of single requests (the median of fewer than 59)\n\n"
            "Complete trials did all of the work. Pruned ones were stopped on a part of it and have no values here; "
            "their notes say why. `autoadapt report` has test scores, intervals and the recommendation.\n"
        )


def _kind(outcome: Outcome) -> str | None:
    return outcome.failure.kind if outcome.failure is not None else None


def describe(candidate: Candidate) -> str:
    """A candidate in a line."""
    return f"{candidate.method} {params_line(candidate.params)}"
