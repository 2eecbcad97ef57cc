"""The main loop: ask a candidate, run it rung by rung, tell its objectives, until the budget ends.

    search = Search(resources)
    search.resume()
    search.run(stop)
    search.run_jobs(jobs, stop, side_by_side, done)      # by autoadapt.assess

Optuna holds which candidates were tried; the run folder holds what was measured. A trial is told to Optuna only after
its outcome is on disk, so whatever is killed, a resumed run finds every finished job and repeats none.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import optuna

from autoadapt.domain.candidate import Candidate, describe
from autoadapt.domain.events import Event, EventKind, Phase, Status
from autoadapt.domain.executor import Finished
from autoadapt.domain.history import History
from autoadapt.domain.jobs import AnyJob, Fit
from autoadapt.domain.outcome import Failure, Measurement
from autoadapt.domain.trial_state import TrialState
from autoadapt.errors import Exit, UserError
from autoadapt.runs.run_folder import Record, full_disk
from autoadapt.runs.storage import write_note
from autoadapt.runs.values import QUALITY, ReadingError, values_line
from autoadapt.study.budget import Budget
from autoadapt.study.choosing import Chooser
from autoadapt.study.damaged import damaged_artifacts, mark_lost
from autoadapt.study.job_times import cut_text
from autoadapt.study.ledger import Ledger
from autoadapt.study.next_job import next_job
from autoadapt.study.open_trials import CANDIDATE, OpenTrial, OpenTrials
from autoadapt.study.progress import ENDED, Progress, first_line
from autoadapt.study.rebuilding import GONE, restore_jobs
from autoadapt.study.resources import Resources
from autoadapt.study.resuming import ended_trials, replay_rungs, retried_later, running_trials, was_tried
from autoadapt.study.rung_judge import RungJudge
from autoadapt.study.side_jobs import SideJobs, is_side_job
from autoadapt.study.stop_signals import StopSignals
from autoadapt.study.study_results import StudyResults
from autoadapt.study.trial_histories import TrialHistories


class Search:
    """One study being searched.

    Args:
        resources: everything that is open for it.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources, self.resolved, self.folder = resources, resources.resolved, resources.folder
        self._supervisor, self._sampler = resources.supervisor, resources.sampler
        study = resources.study
        self.results = StudyResults(
            self.resolved, self.folder, self._supervisor.devices, study.user_attrs.get(GONE, ()), resources.plan
        )
        self._ledger = Ledger(self.resolved.task, self.folder, self._supervisor.slots, self._supervisor.devices.count)
        self._trials = OpenTrials(study)
        self._histories = TrialHistories(self.resolved, self.folder)
        self._judge = RungJudge(self.resolved, self._sampler.pauses)
        self._budget = Budget(self.resolved, self._ledger, self._supervisor, self._trials, self.results)
        self.progress = Progress(self._ledger, self._supervisor, self._trials, self.results, self._budget)
        parts = (self._budget, self._ledger, self._supervisor, resources.portfolio, self.emit)
        self._side_jobs = SideJobs(self.resolved, self.folder, self.results, *parts)
        chosen_from = (self.resolved, self._sampler, resources.portfolio, self._trials, self._histories, self._budget)
        self._chooser = Chooser(*chosen_from, self.emit, self.results.failing, chance=self._judge.chance)
        self.stopped_by: str | None = None
        """The budget's limit that ended the search while jobs were running or wanted, or None."""
        self._dropped: set[int] = set()  # trials whose artifacts this run has deleted
        self.emit("started", first_line(self.resolved, self._supervisor))
        for note in resources.notes:
            self.emit("note", note)

    @property
    def exhausted(self) -> bool:
        """Whether nothing more is to be tried: the space is exhausted, or the search has converged."""
        return self._chooser.exhausted

    def resume(self) -> None:
        """Continues what an earlier run left: ended trials are counted, open ones go on from their last outcome."""
        study = self._trials.study
        self._side_jobs.resume()
        if self.folder.lasting:
            restore_jobs(study, self.folder, self.resolved, self._judge)
        interrupted = self.folder.settle_interrupted(self._supervisor.devices)
        lost = [candidate for ended in ended_trials(study) if (candidate := self._replay_ended(*ended)) is not None]
        measured, open_trials = self.results.trials, running_trials(study)
        self._leave_out_damaged(measured.trials())
        self._expect()  # before a trial ends, for then artifacts are deleted by what is expected
        for trial in open_trials:
            if CANDIDATE in trial.user_attrs and self._chooser.admit(trial):
                self._replay_open(self._trials[trial.number])
        self._leave_out_damaged(trial.number for trial in open_trials if trial.number in measured.trials())
        for trial in open_trials:
            if CANDIDATE not in trial.user_attrs:
                self._chooser.ask_again(trial)
        for candidate in lost:
            self._chooser.try_again(candidate)
        for number, again in (mark_lost(self.folder) if self._supervisor.saves else {}).items():
            self.emit("note", f"trial {number}: {again}", number)
        ended = sum(self._trials.counts[state] for state in ENDED)
        if ended or open_trials:
            went = f"{ended} trials were finished before; {len(open_trials)} continue"
            self.emit("resumed", f"{went} ({interrupted} jobs were interrupted)")

    def run(self, stop: StopSignals) -> None:
        """Searches until the budget ends; returns early when a signal asked for it."""
        self._expect()
        while stop.code is None:
            self._fill_slots()
            if not self._side_jobs.running and all(self._histories.paused(n) for n in self._trials.numbers()):
                break
            finished = self._supervisor.next_finished(timeout=0.5)
            if finished is not None and stop.code is None:
                self._handle(finished)
            elif finished is not None:
                self._handle_stopped(finished)
            self.folder.tick()
            self._hold_budget()
            self.emit("progress", "")
        if self._chooser.spent or not self._budget.affords(0.0):
            self.stopped_by = self.stopped_by or "budget"
        if stop.code is None:
            for number in self._trials.numbers():
                if self._histories.paused(number):
                    self._end(number, TrialState.STOPPED_EARLY, "its next rung was not worth its cost")

    def run_jobs(
        self, jobs: Sequence[AnyJob], stop: StopSignals, side_by_side: int, done: Callable[[Finished], None]
    ) -> bool:
        """Runs jobs on finished options; ends early for a signal or when the budget is spent.

        Args:
            jobs: in the order in which they start.
            stop: asked between jobs.
            side_by_side: most jobs at a time.
            done: called with every job that has ended, a failed one too.

        Returns:
            Whether all of them were run.
        """
        todo, running = deque(jobs), 0
        while (todo or running) and stop.code is None:
            while todo and self._supervisor.free and running < side_by_side:
                job = self._budget.capped(todo.popleft(), 0.0, keep_back=False)
                self._supervisor.submit(job, self.folder.prepare(job))
                running += 1
            finished = self._supervisor.next_finished(timeout=0.5)
            self.folder.tick()
            self.emit("progress", "")
            if finished is not None:
                self.folder.add(finished.folder, finished.job, finished.outcome)
                running -= 0 if finished.retried else 1
                if stop.code is None:
                    done(finished)
                if finished.out_of_money:
                    self.stand_down()
                    return False
            if (todo or running) and self._budget.reached(keep_back=False) is not None:
                self.stand_down()
                return False
        return stop.code is None

    def stand_down(self, seconds: float = 0.0) -> None:
        """Ends running jobs; trainings may take `seconds` to save. Their trials stay open, for a later run."""
        self._supervisor.stop_running("the run was stopped", seconds)
        while (finished := self._supervisor.next_finished(timeout=0.0)) is not None:
            self._handle_stopped(finished)

    def _handle_stopped(self, finished: Finished) -> None:
        """A job that ended while the search stops: a measurement counts, anything else is left to a later run."""
        if isinstance(finished.job, Fit) and isinstance(finished.outcome.result, Measurement):
            self._handle(finished)
        else:
            self.folder.add(finished.folder, finished.job, finished.outcome)

    def history(self) -> History:
        """What the sampler may know now."""
        return self._chooser.history()

    def next_candidate(self) -> str | None:
        """What the sampler would run if there were more budget, in a line; None: nothing, or it cannot say."""
        return self._chooser.next_candidate()

    def status(self) -> Status:
        """Where the study stands."""
        return self.progress.status()

    def emit(self, kind: EventKind, message: str, trial: int | None = None, **data: Any) -> None:
        """Reports an event with the study's status; `data` are JSON values of it."""
        self._resources.on_event(Event(kind, message, self.status(), trial, data))

    def enter(self, phase: Phase) -> None:
        """Begins a phase of the end of the search."""
        self.progress.enter(phase)
        self.emit("phase", phase.name)

    # -- giving out jobs

    def _fill_slots(self) -> None:
        while self._supervisor.free:
            if self.stopped_by is None and self._side_jobs.begin(self._trials.by_key):
                continue
            if not self._trials.queue and (self.stopped_by is not None or not self._chooser.choose()):
                return
            opened = self._trials[self._trials.queue.popleft()]
            job, failed_before = next_job(opened, self._judge, self.resolved, self.folder, self.results)
            timed = self._budget.timed(job) if self.stopped_by is None else None
            if timed is None:
                self._leave_undone(opened.number)
                continue
            self._check_disk()
            job, opened.predicted = timed
            job = self._budget.capped(job, opened.predicted, apart_from=opened.number)
            self._supervisor.submit(job, self.folder.prepare(job), failed_before)
            if job.rung == 0 and job.attempt == 0:
                self.emit("trial_started", describe(opened.candidate), opened.number)

    def _check_disk(self) -> None:
        if self.folder.lasting and (error := full_disk(self.folder.root)) is not None:
            self.stand_down()
            raise error

    # -- taking results

    def _handle(self, finished: Finished) -> None:
        record = Record(finished.folder, finished.job, finished.outcome)
        self.folder.add(finished.folder, finished.job, finished.outcome)
        if is_side_job(record.job) and self._side_jobs.take(finished):
            self._chooser.reopen()
        if finished.retried:
            self.emit("note", f"trial {record.job.trial}: {record.failure}; it is tried once more", record.job.trial)
        elif is_side_job(record.job):
            return
        elif record.failure is not None:
            self._handle_failure(record, record.failure)
        elif record.job.trial in self._trials:
            self._take(self._trials[record.job.trial], record)

    def _take(self, opened: OpenTrial, record: Record, paused: bool = False) -> None:
        """A measured rung: the next one, a pause (also where an earlier run has let it wait), or the trial's end."""
        job, measurement = record.job, record.measurement
        if not isinstance(job, Fit) or measurement is None:
            raise TypeError("a search takes measurements of fits alone")
        number = opened.number
        try:
            judgement = self._judge.judge(job, measurement, last=not job.keep_checkpoint, paused=paused)
            self._histories.reach(job, measurement)
            if judgement.step == "complete":
                self.results.trials.add(number, record)
        except ReadingError as error:
            self._fail(number, error.failure)
            return
        if judgement.step == "stop":
            self._end(number, TrialState.STOPPED_EARLY, judgement.message)
        elif judgement.step == "pause":
            self._histories.set_state(number, TrialState.PAUSED)
        elif judgement.step == "promote":
            opened.rung += 1
            self._trials.queue.appendleft(number)
            self.emit("trial_promoted", judgement.message, number)
        else:
            if QUALITY in judgement.values:
                opened.trial.set_user_attr(QUALITY, judgement.values[QUALITY])
            message = f"{opened.candidate.method}: {values_line(self.resolved.goals, judgement.values)}"
            self._end(number, TrialState.COMPLETE, message + cut_text(measurement), list(judgement.values.values()))

    def _handle_failure(self, record: Record, failure: Failure) -> None:
        number = record.job.trial
        if self.stopped_by is not None and (
            failure.failure_class == "interrupted" or retried_later(self.folder, record)
        ):
            self._give_up(number)
            return
        if failure.failure_class == "budget":
            self.stopped_by = "budget.usd"
            self._give_up(number, failure.reason)
            return
        if failure.failure_class == "disk":  # the trial stays open, so that it is resumed when there is room
            self.stand_down()
            raise UserError(
                f"trial {number}: {failure.reason}; make room and run the same command to resume", Exit.ENVIRONMENT
            )
        self._fail(number, failure)

    def _fail(self, number: int, failure: Failure) -> None:
        """Ends a trial that gave no result, with the reason."""
        opened = self._trials[number]
        self.progress.last_failure = f"trial {number} ({opened.candidate.method}): {failure}"
        opened.trial.set_user_attr("failure", str(failure))
        self._end(number, TrialState.FAILED, str(failure))

    def _give_up(self, number: int, message: str = "the budget ended before it was done") -> None:
        """Ends a trial, and with it the search, because the budget has ended."""
        self.stopped_by = self.stopped_by or "budget"
        self._leave_undone(number, message)

    def _leave_undone(self, number: int, message: str = "what is left of the budget does not pay for it") -> None:
        """Ends a trial that may be asked for again when there is more budget."""
        self._trials[number].trial.set_user_attr("stopped_by", "budget")
        self._end(number, TrialState.STOPPED_EARLY, message)

    def update_expected(self) -> None:
        """Gives the results what the sampler expects of trials; after a search in virtual time only when called."""
        self.results.trials.expect(self._sampler.believed(self._chooser.history()))

    def _expect(self) -> None:
        if self.folder.lasting:  # nothing in virtual time is chosen by it, and it takes as long as a decision
            self.update_expected()

    def _end(self, number: int, state: TrialState, message: str, values: list[float] | None = None) -> None:
        """Ends a trial, answers those that wait for the same candidate, and deletes files no longer needed."""
        opened = self._trials[number]
        self._histories.set_state(number, state)
        if self.folder.lasting:
            opened.trial.set_user_attr("ended", message)
            write_note(self._trials.study, f"`{describe(opened.candidate)}`\n\n{state}: {message}", opened.trial)
        waiting = self._trials.end(number, state, values)
        if state == TrialState.COMPLETE:
            self._expect()
            self.results.write(self.status())
        told = {} if values is None else dict(zip((g.name for g in self.resolved.goals), values, strict=True))
        method, model = opened.candidate.method, opened.candidate.model
        self.emit(ENDED[state], message, number, method=method, model=model, values=told)
        for trial in waiting:
            self._chooser.answer_from_cache(trial, number)
        self.folder.drop_checkpoints(number)
        discarded, known = self.results.discard_dominated(), self._dropped
        if self.folder.lasting and discarded != known:
            self._trials.study.set_user_attr(GONE, sorted(discarded))
        self.folder.drop_artifacts(discarded - known if state == TrialState.COMPLETE else {*discarded - known, number})
        self._dropped = {*discarded}

    # -- resuming

    def _leave_out_damaged(self, measured: Iterable[int]) -> None:
        """Leaves options out whose files were damaged since an earlier run has measured them, and says so."""
        if not self._supervisor.saves:
            return
        damaged = damaged_artifacts(self.folder, {*measured} - self.results.trials.gone)
        self.results.trials.leave_out(damaged)
        for trial, wrong in damaged.items():
            self.emit("note", f"trial {trial} is left out, because its files are damaged: {wrong}", trial)

    def _replay_ended(self, frozen: optuna.trial.FrozenTrial, candidate: Candidate | None) -> Candidate | None:
        """Counts an ended trial and remembers its rungs; returns its candidate where what it measured is lost."""
        number, complete = frozen.number, frozen.state == optuna.trial.TrialState.COMPLETE
        if candidate is None or not was_tried(frozen):
            self._trials.count_ended(frozen, candidate)
            return None
        if complete and not self.folder.measured_in_full(number):
            self._trials.count_lost()
            self.emit("note", f"trial {number} is left out: what it measured in full is missing or damaged", number)
            return candidate
        state = self._trials.count_ended(frozen, candidate)
        self._histories.begin(number, candidate)
        wrong = replay_rungs(self.folder.of(number), complete, self._judge, self._histories, self.results.trials)
        if wrong is not None:
            self.emit("note", f"trial {number} is left out: {wrong}", number)
        self._histories.set_state(number, state)
        return None

    def _replay_open(self, opened: OpenTrial) -> None:
        """Brings an open trial to where its outcomes say it is; its place in the queue stays unless it ended."""
        number = opened.number
        newest = max((r.place for r in self.folder.records if r.measurement is not None), default=0)
        for record in self.folder.of(number):
            failure = record.failure
            if number not in self._trials or record.outcome is None:
                break
            if failure is not None and failure.failure_class in ("interrupted", "disk"):
                continue
            if number in self._trials.queue:
                self._trials.queue.remove(number)
            if failure is None:
                opened.rung = record.job.rung if isinstance(record.job, Fit) else opened.rung
                self._take(opened, record, paused=record.place < newest)
            elif retried_later(self.folder, record):
                self._trials.queue.append(number)
            else:
                self._handle_failure(record, failure)

    # -- budget

    def _hold_budget(self) -> None:
        """Ends running jobs once a limit is reached."""
        limit = self._budget.reached()
        if limit is None or not (self._trials.numbers() or self._side_jobs.running):
            return
        self.stopped_by = limit
        self.emit("note", f"{limit} is reached: running trials are ended")
        self._supervisor.kill_running(f"{limit} was reached")
        while (finished := self._supervisor.next_finished(timeout=0.0)) is not None:
            self._handle(finished)
        for number in self._trials.numbers():
            self._give_up(number)
