"""Budget: whether the next job can be paid for, given what was spent, what runs, and what the end will take."""

from collections.abc import Sequence

from autoadapt.runs.run_folder import Record
from autoadapt.study.ledger import Ledger
from autoadapt.study.open_trials import OpenTrials
from autoadapt.study.study_results import StudyResults
from autoadapt.supervision.supervisor import Supervisor
from autoadapt.tasks.resolve import ResolvedTask


class Budget:
    """The limits of one study.

    Args:
        resolved: the task.
        ledger: what was spent.
        supervisor: what runs.
        trials: what their running jobs will probably take.
        results: which options have still to be re-scored.
    """

    def __init__(
        self,
        resolved: ResolvedTask,
        ledger: Ledger,
        supervisor: Supervisor,
        trials: OpenTrials,
        results: StudyResults,
    ) -> None:
        self._resolved, self._ledger, self._supervisor = resolved, ledger, supervisor
        self._trials, self._results = trials, results

    def may_try(self) -> bool:
        """Whether another candidate may be tried."""
        limit = self._resolved.task.budget.trials
        return (limit is None or self._trials.tried() < limit) and self.affords(0.0)

    def affords(self, seconds: float, apart_from: int | None = None) -> bool:
        """Whether a job of so many device-seconds may start beside those that run.

        Args:
            seconds: predicted device-seconds.
            apart_from: trial whose own job is not counted among those that run.
        """
        held = self._supervisor.running_seconds()
        running = [
            (self._trials[n].predicted, held[n]) for n in self._trials.numbers() if n != apart_from and n in held
        ]
        return self._ledger.allows(seconds, running, self._kept_back())

    def device_seconds_left(self) -> float | None:
        """Device-seconds that one more job may take; None without such a limit."""
        return self._ledger.device_seconds_left(self._kept_back())

    def reached(self, keep_back: bool = True) -> str | None:
        """The limit that was reached, or None.

        Args:
            keep_back: whether a part is kept for the end of the search.
        """
        held = sum(self._supervisor.running_seconds().values())
        return self._ledger.reached(held, self._kept_back() if keep_back else 0.0)

    def _kept_back(self) -> float:
        unscored: Sequence[Record] = [self._results.trials.record(t) for t in self._results.unscored_trials()]
        return self._ledger.kept_back(unscored, self._resolved.task.evaluation, len(self._resolved.splits.test))
