"""Trackers beside a search: each trial that ends is told to them; one that fails is let go with a note."""

from collections.abc import Callable, Sequence
from pathlib import Path

from autoadapt.domain.events import Event
from autoadapt.domain.plugins import Tracker
from autoadapt.domain.task import Task
from autoadapt.registry import Registry
from autoadapt.study.search import Search
from autoadapt.runs.trials import row_of

TRACKERS = Registry("tracker", "autoadapt.trackers", Tracker)  # type: ignore[type-abstract]
ENDS = ("trial_finished", "trial_pruned", "trial_failed", "trial_cached")


class TrackerNotifier:
    """Passes events on, and trials to trackers.

    Args:
        task: of the study.
        root: its run folder.
        on_event: told of every event.
        names: of trackers.

    Raises:
        UserError: a tracker is unknown.
    """

    def __init__(self, task: Task, root: Path, on_event: Callable[[Event], None], names: Sequence[str]) -> None:
        self.task, self.root, self.on_event = task, root, on_event
        self.trackers = {name: TRACKERS.new(name) for name in names}
        self.search: Search | None = None

    def begin(self, search: Search) -> None:
        """Called once when the run folder is open.

        Raises:
            UserError: a tracker cannot be used.
        """
        self.search = search
        for tracker in self.trackers.values():
            tracker.begin(self.task.name, self.root)

    def __call__(self, event: Event) -> None:
        self.on_event(event)
        if self.search is None or event.kind not in ENDS or event.trial is None or not self.trackers:
            return
        frozen = self.search.study.get_trials(deepcopy=False)[event.trial]
        row = row_of(frozen, self.root, self.task)
        for name, tracker in list(self.trackers.items()):
            try:
                tracker.tell(row)
            except Exception as error:  # noqa: BLE001 - whatever a tracker's server does, the search goes on
                del self.trackers[name]
                told = f"tracker {name} failed and is told nothing more: {type(error).__name__}: {error}"
                self.on_event(Event("note", told, event.status))
