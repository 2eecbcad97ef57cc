"""Asking a prompt during a search without keeping an artifact of it: its context, and what its answers have used."""

from typing import Any

from autoadapt.domain.jobs import Fidelity, Fit, JobBase
from autoadapt.domain.method import Adapted, Answer
from autoadapt.domain.selector import Select
from autoadapt.domain.usage import Usage
from autoadapt.shelves import METHODS
from autoadapt.worker.measuring import Bench, context_of
from autoadapt.worker.workshop import Workshop


def as_fit(job: JobBase, **changes: Any) -> Fit:
    """A job as a fit of its candidate states it, with some fields changed."""
    shared = {name: getattr(job, name) for name in JobBase.model_fields}
    return Fit(**{**shared, **changes}, rung=0, fidelity=Fidelity(rows=1, steps=1.0, latency_requests=0))


def opened(bench: Bench, job: Fit, select: Select | None, workshop: Workshop) -> Adapted:
    """The candidate of a job, ready to answer.

    Args:
        bench: the run, its metric and devices.
        job: a prompt of a model.
        select: its examples.
        workshop: the models of this process.
    """
    context = context_of(bench, job, bench.state / "artifact", _nothing, select)
    return METHODS.get(job.candidate.method).fit(context, workshop.family(job.model.family).open(context, job.model))


def used_apart_from_time(answer: Answer) -> Usage:
    """What an answer has used apart from time on this machine, which the whole job holds."""
    if answer.cached:
        return Usage()
    if answer.usage is not None:
        return answer.usage.model_copy(update={"device_seconds": {}})
    return Usage(tokens_in=answer.tokens_in, tokens_out=answer.tokens_out)


def _nothing(*arguments: object, **named: object) -> None:
    """Saves no artifact."""
