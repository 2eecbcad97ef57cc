"""Latency under load: requests sent and the times of their answers. Field names follow ``vllm bench serve``."""

from typing import Literal

from pydantic import Field

from autoadapt.domain.strict import StrictModel
from autoadapt.domain.usage import Usage


class Batch(StrictModel):
    """A batch of requests that was answered alone."""

    rows: int = Field(ge=1)
    seconds: float = Field(gt=0)
    """Until all were answered."""
    first_share: float = Field(default=1.0, ge=0, le=1)
    """Share of that after which the requests had their first tokens, on average (labels: 1)."""
    tokens_out: float = 0.0
    """Tokens written for each request, on average."""


class LoadRun(StrictModel):
    """Requests sent at one rate, at times that do not wait for answers (open loop, Poisson)."""

    rate: float = Field(gt=0)
    """Requests per second that were sent, on average."""
    sent_seconds: float
    """From the beginning until the last request was sent."""
    seconds: float
    """From the beginning to the last answer."""
    ttft_ms: list[float] = Field(default=[])
    """Of every answered request, in order of sending: from sending to the first token (labels: to the answer)."""
    e2el_ms: list[float]
    """Of every answered request: from sending to the last token."""
    tokens_out: list[int] = Field(default=[])
    """Of every answered request."""
    failed: int = 0
    """Requests without an answer; they meet no latency target."""
    stands_for: float = 1.0
    """Requests for each of which one is listed: above 1 in a simulation, which lists some of many."""

    @property
    def sent(self) -> int:
        """Requests listed, and those without an answer."""
        return len(self.e2el_ms) + self.failed


class Load(StrictModel):
    """Measurements of one option or server under load; warm-up requests are dropped."""

    kind: Literal["load"] = "load"
    runs: list[LoadRun]
    """By the order in which they were measured; of a model on this machine simulated from the times of batches."""
    batches: list[Batch] = Field(default=[])
    """Measured, of the option `of_trial` where that is set; empty: a server was sent requests over time."""
    samples: int | None = None
    """Single requests that were measured; None: count them."""
    of_trial: int | None = None
    """The option of the same serving class that was measured, where this is not its own; None: it is its own."""
    ratio: float = Field(default=1.0, gt=0)
    """Times of its answers over those of that option."""
    cold_start_s: float | None = None
    """From an empty device to the first answer: loading the model and answering once; None: not measured."""
    prefix_cache: Literal["warm", "cold", "unknown"] = "unknown"
    """Whether the tokens that all prompts share were computed before the first request."""
    engine: str
    """The engine that answered: transformers in this process, or the URL of a server."""
    clock: Literal["real", "simulated"] = "real"
    """`simulated`: batches were computed and timed, and their queue was simulated."""
    hardware: str
    """Kind of device; figures of different hardware are never compared."""
    warm_up: int = 0
    """Requests sent first and not counted."""
    usage: Usage = Usage()
    """What a server billed for all requests, those sent first included; nothing of a model on this machine."""

    @property
    def single_requests(self) -> int:
        """Requests on which a percentile at a low rate rests: of a server, those at the lowest rate."""
        if self.samples is not None:
            return self.samples
        if self.batches:
            return sum(batch.rows == 1 for batch in self.batches)
        return len(min(self.runs, key=lambda run: run.rate).e2el_ms) if self.runs else 0
