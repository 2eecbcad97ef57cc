"""Prompts that have not fitted into their model's context: prompts that are as long or longer are not tried."""

from collections.abc import Callable
from dataclasses import dataclass, field

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fit
from autoadapt.runs.run_folder import RunFolder

Kind = tuple[str, str, str]
"""Method, model and selector: which examples are shown decides how long they are."""


@dataclass
class LongPrompts:
    """Those of one study.

    Before a prompt is tried, its length is estimated from rows drawn at random. Examples that are chosen for a row may
    be longer than that, which only a trial shows.

    Args:
        folder: what its jobs gave.
        length: characters of a candidate's whole prompts, estimated.
    """

    folder: RunFolder
    length: Callable[[Candidate], float]
    _failed: dict[Kind, tuple[float, int]] = field(default_factory=dict)
    """The shortest one of each kind that did not fit, and its trial."""
    _read: int = 0
    """Number of records that are known."""

    def obstacle(self, candidate: Candidate) -> str | None:
        """Why a candidate is not to be tried; None: no prompt that is shorter has failed."""
        self._update()
        known = self._failed.get(_kind(candidate))
        if known is None or self.length(candidate) < known[0]:
            return None
        return (
            f"{candidate.method} on {candidate.model}: the prompts of trial {known[1]}, which are no longer, do not "
            "fit the model's context"
        )

    def _update(self) -> None:
        fresh = self.folder.records[self._read :]  # one without an outcome was interrupted, and gets no other one
        self._read += len(fresh)
        for record in fresh:
            failure, candidate = record.failure, record.job.candidate
            if failure is None or failure.failure_class != "context" or not isinstance(record.job, Fit):
                continue
            before, length = self._failed.get(_kind(candidate)), self.length(candidate)
            if before is None or length < before[0]:
                self._failed[_kind(candidate)] = length, record.job.trial


def _kind(candidate: Candidate) -> Kind:
    return candidate.method, candidate.model, str(candidate.params.get("selector"))
