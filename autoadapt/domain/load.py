"""Latency under load: requests sent and the times of their answers. Field names follow ``vllm bench serve``."""

from typing import Literal

from pydantic import Field

from autoadapt.domain.strict import StrictModel
from autoadapt.domain.usage import Usage


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

    @property
    def sent(self) -> int:
        """Requests sent."""
        return len(self.e2el_ms) + self.failed


class Load(StrictModel):
    """Measurements of one option or server under load; warm-up requests are dropped."""

    kind: Literal["load"] = "load"
    runs: list[LoadRun]
    """By the order in which they were measured."""
    cold_start_s: float | None = None
    """From an empty device to the first answer: loading the model and answering once; None: not measured."""
    prefix_cache: Literal["warm", "cold", "unknown"] = "unknown"
    """Whether the tokens that all prompts share were computed before the first request."""
    engine: str
    """The engine that answered: transformers in this process, or the URL of a server."""
    clock: Literal["real", "idle skipped"] = "real"
    """`idle skipped`: batches are computed and timed, but the time without any request is skipped."""
    hardware: str
    """Kind of device; figures of different hardware are never compared."""
    warm_up: int = 0
    """Requests sent first and not counted."""
    usage: Usage = Usage()
    """What a server billed for all requests, those sent first included; nothing of a model on this machine."""
