"""Trackers beside a search: each trial that ends is reported to them; one that fails is dropped with a note."""

from collections.abc import Callable, Sequence
from pathlib import Path

import optuna

from autoadapt.domain.events import Event
from autoadapt.runs.trials import TrialReader
from autoadapt.shelves import TRACKERS
from autoadapt.tasks.resolve import ResolvedTask

ENDS = ("trial_finished", "trial_stopped_early", "trial_failed", "trial_cached")


class TrackerNotifier:
    """Passes events on, and trials to trackers.

    Args:
        resolved: the task.
        root: its run folder.
        on_event: given every event.
        names: of trackers.

    Raises:
        UserError: a tracker is unknown.
    """

    def __init__(
        self, resolved: ResolvedTask, root: Path, on_event: Callable[[Event], None], names: Sequence[str]
    ) -> None:
        self._name, self._root, self._on_event = resolved.task.name, root, on_event
        self._reader = TrialReader(root, resolved.task, resolved.metric, resolved.goals)
        self._trackers = {name: TRACKERS.new(name) for name in names}
        self._study: optuna.Study | None = None

    def begin(self, study: optuna.Study) -> None:
        """Called once when the study is open.

        Raises:
            UserError: a tracker cannot be used.
        """
        self._study = study
        for tracker in self._trackers.values():
            tracker.begin(self._name, self._root)

    def __call__(self, event: Event) -> None:
        self._on_event(event)
        if self._study is None or event.kind not in ENDS or event.trial is None or not self._trackers:
            return
        row = self._reader.row(self._study.get_trials(deepcopy=False)[event.trial])
        for name, tracker in list(self._trackers.items()):
            try:
                tracker.report(row)
            except Exception as error:  # noqa: BLE001 - whatever a tracker's server does, the search goes on
                del self._trackers[name]
                message = f"tracker {name} failed and is sent nothing more: {type(error).__name__}: {error}"
                self._on_event(Event("note", message, event.status))
