"""The jobs of a search that make something for later candidates: instructions for slots, and labels."""

from typing import Any

from autoadapt.domain.executor import Finished
from autoadapt.domain.jobs import AnyJob, Label, Propose
from autoadapt.study.proposing import Proposing
from autoadapt.study.teaching import Teaching


class SideJobs:
    """Both kinds of such jobs.

    Args:
        surroundings: as of `autoadapt.study.during_search.Surroundings`.
    """

    def __init__(self, *surroundings: Any) -> None:
        self._proposing, self._teaching = Proposing(*surroundings), Teaching(*surroundings)

    @property
    def running(self) -> bool:
        """Whether one of them runs."""
        return self._proposing.running is not None or self._teaching.running is not None

    def resume(self) -> None:
        """Takes what an earlier run has left."""
        self._proposing.resume()
        self._teaching.resume()

    def begin(self, tried: dict[str, int]) -> bool:
        """Begins such a job if it is time; whether it has.

        Args:
            tried: candidates that were tried or run, by key.
        """
        return self._proposing.begin(tried) or self._teaching.begin(tried)

    def take(self, finished: Finished) -> bool:
        """Takes what came of such a job; whether there is something new to be tried."""
        if isinstance(finished.job, Propose):
            return self._proposing.take(finished)
        return self._teaching.take(finished)


def is_side_job(job: AnyJob) -> bool:
    """Whether a job is one of these, and so no part of its trial."""
    return isinstance(job, Propose | Label)
