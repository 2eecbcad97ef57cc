"""Tracker: where trials are reported in addition to the run folder. The shelf ``trackers/`` holds one per file."""

from abc import ABC, abstractmethod
from pathlib import Path

from autoadapt.domain.trial_row import TrialRow


class Tracker(ABC):
    """Reports trials somewhere else too. What it raises ends the reporting, never the search."""

    @abstractmethod
    def begin(self, name: str, root: Path) -> None:
        """Called once before the first trial.

        Args:
            name: of the study.
            root: its run folder.

        Raises:
            UserError: it cannot be used; nothing has been spent yet.
        """

    @abstractmethod
    def report(self, row: TrialRow) -> None:
        """Called when a trial has ended; trials of earlier runs of the study may come again."""
