"""Which failures are tried again, and how the next attempt differs."""

from collections.abc import Sequence

from autoadapt.domain.jobs import Job
from autoadapt.domain.outcome import FailureClass

RETRIES: dict[FailureClass, int] = {"crash": 1, "oom": 1}
"""Further attempts by class of failure; a class that is absent is never tried again."""


def may_retry(classes: Sequence[FailureClass]) -> bool:
    """Whether a job may be tried again.

    Args:
        classes: of every failed attempt of this job, the last one at the end; attempts that were interrupted, by a
            signal or by a full disk, may be among them and do not count.
    """
    return bool(classes) and classes.count(classes[-1]) <= RETRIES.get(classes[-1], 0)


def next_attempt(job: Job, failure_class: FailureClass) -> Job:
    """The job as it is tried again; after running out of memory its batches are cut into twice as many parts."""
    training = job.training
    if failure_class == "oom":
        training = training.model_copy(update={"micro_batches": 2 * training.micro_batches})
    return job.model_copy(update={"attempt": job.attempt + 1, "training": training})
