"""The trials of a study that are open: what each runs, which wait for a slot, which repeat another's candidate."""

import json
from collections import defaultdict, deque
from dataclasses import dataclass

import optuna

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.trial_state import TrialState
from autoadapt.shelves import METHODS

OPTUNA_STATES = {
    TrialState.COMPLETE: optuna.trial.TrialState.COMPLETE,
    TrialState.STOPPED_EARLY: optuna.trial.TrialState.PRUNED,
    TrialState.FAILED: optuna.trial.TrialState.FAIL,
}


CANDIDATE = "candidate"
"""Attribute of a trial that was admitted: what it is."""
REFUSAL = "refused"
"""Attribute of a trial whose candidate cannot work: the reason."""
NOT_TRIED = (TrialState.CACHED, TrialState.REFUSED)
"""States of trials for which nothing was run."""


@dataclass
class OpenTrial:
    """A trial that is being run."""

    trial: optuna.Trial
    candidate: Candidate
    straight: bool = False
    """Whether it gets all of the work at once."""
    rung: int = 0
    predicted: float = 0.0
    """Device-seconds that its running job will probably hold."""

    @property
    def number(self) -> int:
        """Optuna's number of it."""
        return self.trial.number


class OpenTrials:
    """Every open trial, and which candidate each trial of the study has had.

    Args:
        study: the Optuna study; a trial is told to it only after its outcome is on disk.
    """

    def __init__(self, study: optuna.Study) -> None:
        self.study = study
        self._open: dict[int, OpenTrial] = {}
        self.queue: deque[int] = deque()
        """Open trials whose next job waits for a slot."""
        self.by_key: dict[str, int] = {}
        """Candidate key -> the trial that runs or ran it."""
        self._floor = 0
        """Trials of simple methods, which do not count against the budget in trials."""
        self._waiting: dict[int, list[optuna.Trial]] = defaultdict(list)
        """Repeated candidates of a trial that still runs."""
        self.counts = dict.fromkeys(
            (
                TrialState.COMPLETE,
                TrialState.STOPPED_EARLY,
                TrialState.FAILED,
                TrialState.CACHED,
                TrialState.REFUSED,
            ),
            0,
        )

    def __contains__(self, number: int) -> bool:
        return number in self._open

    def __getitem__(self, number: int) -> OpenTrial:
        return self._open[number]

    def numbers(self) -> list[int]:
        """Of every open trial."""
        return list(self._open)

    def tried(self) -> int:
        """Candidates tried, without cached answers, those that could not work, and the simple methods of the floor."""
        begun = len(self._open) + sum(n for state, n in self.counts.items() if state not in NOT_TRIED)
        return begun - self._floor

    def refuse(self, trial: optuna.Trial, reason: str) -> None:
        """Ends a trial whose candidate cannot work."""
        trial.set_user_attr(REFUSAL, reason)
        self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        self.counts[TrialState.REFUSED] += 1

    def admit(self, trial: optuna.Trial, candidate: Candidate, straight: bool = False) -> OpenTrial | int:
        """Queues a trial.

        Args:
            trial: as asked.
            candidate: that it suggests.
            straight: whether it gets all of the work at once.

        Returns:
            The open trial; or, where its candidate is not new, the number of the trial that has it.
        """
        key = candidate.key()
        known = self.by_key.get(key)
        if known is not None:
            if known in self._open:
                self._waiting[known].append(trial)
            return known
        self.by_key[key] = trial.number
        if straight:
            trial.set_user_attr("straight", True)
        trial.set_user_attr(CANDIDATE, json.loads(candidate.model_dump_json()))
        opened = OpenTrial(trial, candidate, straight=bool(trial.user_attrs.get("straight")))
        self._open[trial.number] = opened
        self._floor += METHODS.get(candidate.method).floor
        self.queue.append(trial.number)
        return opened

    def promote(self, number: int, straight: bool) -> OpenTrial:
        """Queues the next rung of a paused trial.

        Args:
            number: of the trial.
            straight: whether it gets all that is left of the work at once.
        """
        opened = self._open[number]
        opened.rung += 1
        if straight:
            opened.straight = True
            opened.trial.set_user_attr("straight", True)
        self.queue.append(number)
        return opened

    def count_ended(self, frozen: optuna.trial.FrozenTrial, candidate: Candidate | None) -> TrialState:
        """Counts a trial that an earlier run has ended."""
        if "same_as" in frozen.user_attrs:
            state = TrialState.CACHED
        elif REFUSAL in frozen.user_attrs:
            state = TrialState.REFUSED
        else:
            state = next(ours for ours, theirs in OPTUNA_STATES.items() if theirs == frozen.state)
            # what the budget cut short may be asked for again when there is more of it
            if candidate is not None and frozen.user_attrs.get("stopped_by") != "budget":
                self.by_key[candidate.key()] = frozen.number
        self.counts[state] += 1
        if candidate is not None and state not in NOT_TRIED:
            self._floor += METHODS.get(candidate.method).floor
        return state

    def count_lost(self) -> None:
        """Counts a trial that an earlier run has ended and whose outcome is lost: its candidate counts as untried."""
        self.counts[TrialState.REFUSED] += 1

    def end(self, number: int, state: TrialState, values: list[float] | None = None) -> list[optuna.Trial]:
        """Tells Optuna that a trial has ended; returns the trials that wait for the same candidate.

        Args:
            number: of the trial.
            state: complete, stopped early or failed.
            values: its objectives, if it is complete.
        """
        opened = self._open.pop(number)
        if number in self.queue:  # promoted, and the budget ended before a slot was free
            self.queue.remove(number)
        self.study.tell(opened.trial, values, state=OPTUNA_STATES[state])
        self.counts[state] += 1
        return self._waiting.pop(number, [])

    def answer_from_cache(self, trial: optuna.Trial, known: int) -> None:
        """Ends a trial with what another one of the same candidate gave."""
        original = self.study.get_trials(deepcopy=False)[known]
        trial.set_user_attr("same_as", known)
        complete = original.state == optuna.trial.TrialState.COMPLETE
        self.study.tell(trial, original.values if complete else None, state=original.state)
        self.counts[TrialState.CACHED] += 1
