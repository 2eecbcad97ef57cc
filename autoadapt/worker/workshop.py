"""What one worker process keeps from job to job: the families of models that it has used."""

from collections.abc import Iterable

from autoadapt.domain.family import ModelFamily
from autoadapt.domain.outcome import Failure, FailureClass, Outcome
from autoadapt.domain.usage import Usage, total_usage
from autoadapt.process_memory import resident_bytes
from autoadapt.shelves import FAMILIES

RETIRE_GROWTH = 2.0
RETIRE_BYTES = 2 * 2**30


class Workshop:
    """One instance of every family that this process has been asked for. It is created once per worker."""

    def __init__(self) -> None:
        self._families: dict[str, ModelFamily] = {}
        self.bytes_at_start = resident_bytes()
        """What this process held before its first job."""

    def family(self, name: str) -> ModelFamily:
        """The family of that name, with the models that it keeps warm.

        Raises:
            UserError: there is no such family.
        """
        if name not in self._families:
            self._families[name] = FAMILIES.new(name)
        return self._families[name]

    def drop(self) -> None:
        """Empties the device: every family forgets its warm models."""
        for family in self._families.values():
            family.drop()

    @property
    def loading_seconds(self) -> float:
        """Seconds that all families together have spent loading models."""
        return sum(family.loading_seconds for family in self._families.values())

    @property
    def billed(self) -> Usage:
        """What providers have billed all families since the job began."""
        return total_usage(family.billed for family in self._families.values())

    @property
    def should_retire(self) -> bool:
        """Whether a family's library has left something behind in this process."""
        return any(family.should_retire for family in self._families.values())

    def failure_class(self, error: BaseException) -> FailureClass | None:
        """The class of a failure that only a family's library can tell; None: none of them knows it."""
        return _first(family.failure_class(error) for family in self._families.values())


def _first(classes: Iterable[FailureClass | None]) -> FailureClass | None:
    return next((known for known in classes if known is not None), None)


def should_retire(first: Outcome, last: Outcome, workshop: Workshop) -> bool:
    """Whether a fresh process is safer: memory grew or ran out, or a library left something behind.

    Args:
        first: outcome of this worker's first job.
        last: outcome of its latest one.
        workshop: of this worker.
    """
    grown = last.worker_rss_bytes > RETIRE_GROWTH * first.worker_rss_bytes + RETIRE_BYTES
    out_of_memory = isinstance(last.result, Failure) and last.result.failure_class == "oom"
    return grown or out_of_memory or workshop.should_retire
