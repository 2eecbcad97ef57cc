"""What runs next: a new candidate of the sampler's, or the next rung of a paused trial."""

import dataclasses
import functools
from collections.abc import Callable

import optuna

from autoadapt.domain.candidate import Candidate, describe
from autoadapt.domain.events import EventKind
from autoadapt.domain.history import History
from autoadapt.domain.jobs import seed_of
from autoadapt.domain.params import TEACHER_ROWS
from autoadapt.domain.sampler import Sampler
from autoadapt.domain.trial_state import TrialState
from autoadapt.shelves import METHODS
from autoadapt.study.budget import Budget
from autoadapt.study.filled_slots import drawing_filled
from autoadapt.study.long_prompts import LongPrompts
from autoadapt.study.open_trials import CANDIDATE, OpenTrial, OpenTrials
from autoadapt.study.portfolio import Portfolio
from autoadapt.study.repeated_failures import Pair, RepeatedFailures
from autoadapt.study.trial_histories import TrialHistories
from autoadapt.tasks.resolve import ResolvedTask

UNPAID = "what is left of the budget does not pay for"
FIXED = "fixed_params"
"""Attribute in which Optuna keeps the parameters that a trial is to get."""
MOST_CACHE_HITS = 50
"""Repeated candidates in a row after which the search space counts as exhausted."""
Emit = Callable[[EventKind, str, int | None], None]


@dataclasses.dataclass
class Chooser:
    """Queues what runs next."""

    resolved: ResolvedTask
    sampler: Sampler
    portfolio: Portfolio
    trials: OpenTrials
    histories: TrialHistories
    budget: Budget
    emit: Emit
    failing: RepeatedFailures
    exhausted: bool = False
    """Whether nothing more is to be tried: the space is exhausted, or the search has converged."""
    converged: bool = False
    """Whether no job was worth its cost when the sampler was last asked; it is not asked again."""
    chance: float | None = None
    """Quality of always giving the most frequent label; None: not known."""
    spent: bool = False
    """Whether what is left of the budget pays for no further candidate."""
    _told: set[Pair] = dataclasses.field(default_factory=set)
    """Methods and models whose end was reported, because their first trials failed alike."""
    _refused: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    """Methods and models of candidates that were not tried; the first of each is reported."""
    _unpaid: int = 0
    """Candidates that were asked for and that the budget does not pay for."""
    _long: LongPrompts = dataclasses.field(init=False)
    _asked: int | None = None
    """Trials of the Optuna study; None: not counted yet. A database takes long to list those that are not finished."""

    def __post_init__(self) -> None:
        self._long = LongPrompts(self.failing.folder, lambda candidate: self.budget.lengths.of(candidate).whole)

    def history(self) -> History:
        """What the sampler may know."""
        resolved, task, left = self.resolved, self.resolved.task, self.budget.device_seconds_left()
        can_work = functools.partial(self._can_work, left)
        return History(
            trials=self.histories.all(),
            branches=resolved.open_arms(),
            models=tuple(task.models),
            tunes=frozenset(m for m in resolved.space.methods if METHODS.get(m).tunes),
            floor=frozenset(m for m in resolved.space.methods if METHODS.get(m).floor),
            left_seconds=left,
            may_try=not self.exhausted and self.budget.may_try(),
            constraints=task.constraints,
            goals=resolved.goals,
            chance=self.chance,
            least_gain=task.search.least_gain,
            first=tuple(c for c in self.portfolio.left(self.trials.by_key) if can_work(c)),
            can_work=can_work,
            unpaid=functools.partial(self._is_unpaid, left),
            closed=frozenset(m for m in resolved.space.methods if self._is_closed(m)),
            job_seconds=self.portfolio.job_seconds,
            rows=len(resolved.splits.train),
            expected_seconds=self.budget.expected_seconds,
        )

    def choose(self) -> bool:
        """Queues a paused trial or a new candidate; False when there is none, or none that can be paid for."""
        self._give_up_failing()
        if self.converged:
            return False
        history = self.history()
        if not self.sampler.pauses:
            return self._ask(history)
        decision = self.sampler.decide(self._seed(), history)
        if decision.converged:
            self.converged = True
            self._stop("no further job is worth its cost: the search has converged")
            return False
        self.spent = decision.waits
        if decision.waits:
            return False
        if decision.promote is None:
            return history.may_try and self._ask(history, decision.straight)
        opened = self.trials.promote(decision.promote, decision.straight)
        self.histories.set_state(opened.number, TrialState.RUNNING)
        to = "is finished" if decision.straight else f"is promoted to rung {opened.rung}"
        self.emit("trial_promoted", to, opened.number)
        return True

    def reopen(self) -> None:
        """Goes on after there is something new to be tried: a slot was filled, or rows were labelled."""
        self.converged = self.spent = self.exhausted = False

    def _give_up_failing(self) -> None:
        """Reports methods that are searched no further on a model, and ends the search where nothing else is left."""
        found = self.failing.found()
        for pair in [pair for pair in found if pair not in self._told]:
            self._told.add(pair)
            self._refused.add(pair)
            self.emit("note", found[pair], None)
        pairs = self.resolved.space.pairs.models
        if found and all((method, model) in found for method, models in pairs.items() for model in models):
            self._stop("no method is left that has not failed in each of its first trials")

    def admit(self, trial: optuna.Trial, straight: bool = False) -> bool:
        """Whether the trial must be run; else it cannot work, or its answer is known or comes with another trial's."""
        candidate = self.resolved.space.suggest(trial)
        begun = CANDIDATE in trial.user_attrs  # an earlier run has admitted it, and may have measured it
        reason = None if begun else self._reason_against(candidate, self.budget.device_seconds_left())
        if reason is not None:
            self.trials.refuse(trial, reason)
            self._unpaid += reason.startswith(UNPAID)
            if (pair := (candidate.method, candidate.model)) not in self._refused:
                self._refused.add(pair)
                self.emit("note", f"not tried: {reason}", None)
            return False
        admitted = self.trials.admit(trial, candidate, straight)
        if isinstance(admitted, OpenTrial):
            self.histories.begin(trial.number, admitted.candidate)
            return True
        if admitted not in self.trials:
            self.answer_from_cache(trial, admitted)
        return False

    def ask_again(self, trial: optuna.Trial) -> bool:
        """Admits a trial that a killed run had only asked for; it gets the candidate that it would have had.

        Returns:
            As of `admit`.
        """
        study, history, seed = self.trials.study, self.history(), self._seed(trial.number)
        straight = self.sampler.pauses and self.sampler.decide(seed, history).straight
        trials = study.get_trials(deepcopy=False)
        if FIXED not in trials[trial.number].system_attrs:
            earlier = trials[: trial.number]
            drawn_by = drawing_filled(self.sampler.build(seed, history), history, seed)
            again = optuna.create_study(directions=study.directions, sampler=drawn_by)
            again.add_trials(t for t in earlier if t.state != optuna.trial.TrialState.WAITING)
            drawn = again.ask()
            self.resolved.space.suggest(drawn)
            study._storage.set_trial_system_attr(trial._trial_id, FIXED, drawn.params)
        return self.admit(optuna.Trial(study, trial._trial_id), straight)

    def try_again(self, candidate: Candidate) -> None:
        """Queues a candidate whose outcome was lost, as far as the budget allows another one and none repeats it."""
        params = self.resolved.space.fit(candidate.method, candidate.model, candidate.params)
        if params is None or candidate.key() in self.trials.by_key or not self.budget.may_try():
            return
        self.trials.study.enqueue_trial(params)
        trial = self.trials.study.ask()
        self._asked = None
        self.admit(trial)

    def answer_from_cache(self, trial: optuna.Trial, known: int) -> None:
        """Ends a trial with what another one of the same candidate gave."""
        self.trials.answer_from_cache(trial, known)
        self.emit("trial_cached", f"same candidate as trial {known}: answered from the cache", trial.number)

    def next_candidate(self) -> str | None:
        """What the sampler would run if there were more budget, in a line; None: nothing, or it cannot say."""
        if self.exhausted or not self.sampler.pauses:
            return None
        history = dataclasses.replace(self.history(), may_try=True, left_seconds=None, least_gain=0.0)
        if not any(trial.reached for trial in history.trials):
            return None
        decision = self.sampler.decide(self.resolved.task.seed, history)
        if decision.promote is not None:
            return f"the next rung of trial {decision.promote}, which was stopped early"
        return None if decision.candidate is None else describe(decision.candidate)

    def _can_work(self, left: float | None, candidate: Candidate) -> bool:
        return self._reason_against(candidate, left) is None

    def _is_unpaid(self, left: float | None, candidate: Candidate) -> bool:
        return not self.budget.pays_for(candidate, left) and self._can_work(None, candidate)

    def _reason_against(self, candidate: Candidate, left: float | None) -> str | None:
        """Why a candidate is not to be tried; None: nothing speaks against it.

        Args:
            candidate: a new one.
            left: device-seconds of the budget, as of `Budget.device_seconds_left`.
        """
        if (failing := self.failing.found().get((candidate.method, candidate.model))) is not None:
            return failing
        if self._is_closed(candidate.method, candidate.teacher_rows > 0) and candidate.key() not in self.trials.by_key:
            most = METHODS.get(candidate.method).most_trials
            return f"{candidate.method} is searched no further after {most} candidates"
        if not self.budget.pays_for(candidate, left):
            return f"{UNPAID} {candidate.method} on {candidate.model}"
        return self._long.obstacle(candidate) or self.resolved.obstacle(candidate)

    def _is_closed(self, method: str, taught: bool | None = None) -> bool:
        """Whether a method is searched no further.

        Args:
            method: its name.
            taught: with rows of a teacher, or without them, which are counted apart; None: in either way.
        """
        if taught is None:
            learns = TEACHER_ROWS in METHODS.get(method).Params.model_fields and self.resolved.taught.rows
            ways = (False, True) if learns else (False,)
            return all(self._is_closed(method, way) for way in ways)
        found, models = self.failing.found(), self.resolved.space.pairs.models[method]
        if found and all((method, model) in found for model in models):
            return True
        most = METHODS.get(method).most_trials
        return most is not None and self.histories.count(method, taught) >= most

    def _ask(self, history: History, straight: bool = False) -> bool:
        study, unpaid = self.trials.study, self._unpaid
        for _ in range(0 if self.exhausted else MOST_CACHE_HITS):
            if not self.budget.may_try():
                return False
            if history.first and not self.sampler.pauses:
                self.portfolio.enqueue(history.first[0])
            study.sampler = drawing_filled(self.sampler.build(self._seed(), history), history, self._seed())
            trial = study.ask()
            self._asked = trial.number + 1
            if self.admit(trial, straight):
                return True
        if self._unpaid > unpaid:
            self.spent = True
            return False
        self._stop(f"the last {MOST_CACHE_HITS} candidates were repeats, or cannot work: search space exhausted")
        return False

    def _stop(self, reason: str) -> None:
        if not self.exhausted:
            self.emit("note", reason, None)
        self.exhausted = True

    def _seed(self, number: int | None = None) -> int:
        """Of a decision: from the number of a trial and, with promotions, from what has finished.

        Args:
            number: None: of the next trial.
        """
        if self._asked is None:
            trials = self.trials.study.get_trials(deepcopy=False)
            self._asked = sum(t.state != optuna.trial.TrialState.WAITING for t in trials)
        finished = 1_000_000 * self.histories.finished if self.sampler.pauses else 0
        return seed_of(self.resolved.task.seed, (self._asked if number is None else number) + finished)
