"""A storage of Optuna that outlives outages of its database: what failed is repeated until the database answers again.

    outages = Outages(limit_seconds=1800)
    storage = LastingStorage(database, outages)

A repeated call changes nothing twice. Where the reply to a commit was lost, what the commit has made is found again: a
trial by the moment at which it began, a state by reading it.
"""

import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState, create_trial

from autoadapt.errors import Exit, UserError

T = TypeVar("T")
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 15.0
"""Pauses between attempts double from the first to the longest one."""
LOOK_SECONDS = 0.25
"""While it waits, the driver looks after its workers this often."""


class UnansweredError(Exception):
    """A database does not answer, or has ended the connection; what was asked for may be repeated.

    Its text is one line, without secrets.
    """


class DatabaseAwayError(Exception):
    """A database has not answered for as long as it is waited for, or the search was asked to stop meanwhile.

    Args:
        cause: of the last failed attempt.
        seconds: waited.
    """

    def __init__(self, cause: str, seconds: float) -> None:
        super().__init__(f"did not answer for {seconds:.0f} s ({cause})")


def _nothing() -> None:
    pass


@dataclass
class Outages:
    """How outages are waited out, and what happens meanwhile."""

    limit_seconds: float
    """Longest outage that is waited for."""
    say: Callable[[str], None] = lambda text: None
    """Given one line when an outage begins and one when it has ended."""
    meanwhile: Callable[[], None] = _nothing
    """Called several times a second while the database is away."""
    asked_to_stop: Callable[[], bool] = lambda: False
    """Whether waiting shall end."""
    on_retry: Callable[[], None] = _nothing
    """Called before every further attempt."""

    def outlive(self, first: Callable[[], T], again: Callable[[], T]) -> T:
        """The result of a call that is repeated while the database does not answer.

        Args:
            first: the call.
            again: what repeats it; it knows that an earlier attempt may have done all or nothing.

        Raises:
            DatabaseAwayError: the outage lasts for too long, or a stop was asked for.
        """
        begun, pause, attempts = time.monotonic(), FIRST_PAUSE_SECONDS, 0
        while True:
            try:
                result = again() if attempts else first()
                break
            except UnansweredError as error:
                attempts += 1
                waited = time.monotonic() - begun
                if waited >= self.limit_seconds or self.asked_to_stop():
                    raise DatabaseAwayError(str(error), waited) from error
                if attempts == 2:  # the first repetition mends a connection that was dropped
                    self.say(self._begun(str(error)))
                self._wait(min(pause, self.limit_seconds - waited))
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                self.on_retry()
        if attempts > 1:
            self.say(f"the database answers again after {time.monotonic() - begun:.0f} s; the search goes on")
        return result

    def _begun(self, cause: str) -> str:
        return (
            f"the database does not answer ({cause}); jobs that run go on and their outcomes are kept in the run "
            f"folder; trying again for up to {self.limit_seconds:g} s (storage_timeout_s)"
        )

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self.asked_to_stop():
            self.meanwhile()
            time.sleep(min(LOOK_SECONDS, left))


class LastingStorage(BaseStorage):
    """Delegates to a database, and repeats what failed because it did not answer.

    One driver at a time writes to a study; `autoadapt.runs.database` refuses a second one.

    Args:
        database: whose engine raises `UnansweredError` where it does not answer.
        outages: how long one is waited for.
    """

    def __init__(self, database: RDBStorage, outages: Outages) -> None:
        self._backend, self._cached, self.outages = database, get_storage(database), outages
        outages.on_retry = database.remove_session
        self._newest: dict[int, int] = {}
        """Study -> the database's number of the newest trial that is known."""

    def _ask(self, call: Callable[[], T]) -> T:
        """The result of a call that may be repeated as it stands."""
        return self.outages.outlive(call, call)

    def _of_trial(self, call: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        """The result of a call about a trial that was there.

        Raises:
            UserError: it is gone; exit 8.
        """
        try:
            return self.outages.outlive(call, again or call)
        except KeyError as error:
            raise UserError(
                "the database of storage no longer holds a trial that it has confirmed; was it restored from an older "
                "copy? Finished trials are safe in the run folder; run the same command to resume",
                Exit.STORAGE,
            ) from error

    # -- studies

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        return self._ask(lambda: self._cached.create_new_study(directions, study_name))

    def delete_study(self, study_id: int) -> None:
        self._ask(lambda: self._cached.delete_study(study_id))

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._ask(lambda: self._cached.set_study_user_attr(study_id, key, value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._ask(lambda: self._cached.set_study_system_attr(study_id, key, value))

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._ask(lambda: self._cached.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._ask(lambda: self._cached.get_study_name_from_id(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._ask(lambda: self._cached.get_study_directions(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._ask(lambda: self._cached.get_study_user_attrs(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._ask(lambda: self._cached.get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[FrozenStudy]:
        return self._ask(self._cached.get_all_studies)

    # -- trials

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        if template_trial is None:
            template_trial = create_trial(state=TrialState.RUNNING, values=None)
            template_trial.datetime_start = datetime.now()
        template = template_trial
        newest = self._newest.get(study_id, -1)

        def create() -> int:
            return self._cached.create_new_trial(study_id, template)

        def find_or_create() -> int:
            for trial in self._cached.get_all_trials(study_id, deepcopy=False):
                if trial._trial_id > newest and _is_made_from(trial, template):
                    return trial._trial_id
            return create()

        created = self.outages.outlive(create, find_or_create)
        self._newest[study_id] = max(newest, created)
        return created

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        # a parameter that is stored already is left as it is
        self._of_trial(lambda: self._cached.set_trial_param(trial_id, param_name, param_value_internal, distribution))

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        return self._ask(lambda: self._cached.get_trial_id_from_study_id_trial_number(study_id, trial_number))

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        def change() -> bool:
            return self._cached.set_trial_state_values(trial_id, state, values)

        def change_again() -> bool:
            try:
                if change():
                    return True
            except UpdateFinishedTrialError:
                pass
            stored = self._cached.get_trial(trial_id)
            told = None if values is None else list(values)
            if stored.state == state and stored.values == told:
                return True
            raise UserError(
                f"trial {stored.number} was ended as {stored.state.name} by another program; let one search at a time "
                "use this study, and run the same command to resume",
                Exit.STORAGE,
            )

        return self._of_trial(change, change_again)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        self._of_trial(lambda: self._cached.set_trial_intermediate_value(trial_id, step, intermediate_value))

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._of_trial(lambda: self._cached.set_trial_user_attr(trial_id, key, value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._of_trial(lambda: self._cached.set_trial_system_attr(trial_id, key, value))

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._of_trial(lambda: self._cached.get_trial(trial_id))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        trials = self._ask(lambda: self._cached.get_all_trials(study_id, deepcopy, states))
        if trials:  # by number, and so by the database's own number too
            self._newest[study_id] = max(self._newest.get(study_id, -1), trials[-1]._trial_id)
        return trials

    def remove_session(self) -> None:
        self._cached.remove_session()


def _is_made_from(trial: FrozenTrial, template: FrozenTrial) -> bool:
    """Whether a trial, which is newer than all that were known, was made from a template."""
    same_moment = trial.datetime_start == template.datetime_start
    return same_moment and trial.state == template.state and trial.params == template.params
