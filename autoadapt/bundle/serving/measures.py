"""What a server counts, in Prometheus's text format."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from autoadapt.bundle.serving.answer_queue import Reply

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Measures:
    """Counters of one server.

    Args:
        waiting: tells how many texts wait.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "autoadapt_requests", "Requests that were answered or refused.", ("path", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "autoadapt_request_seconds",
            "Time from the arrival of a request to its answer.",
            ("path",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._answers = Counter("autoadapt_answers", "Answers by label.", ("answer",), registry=self._registry)
        self._batches = Histogram(
            "autoadapt_batch_rows", "Texts that were answered together.", buckets=SIZES, registry=self._registry
        )
        Gauge("autoadapt_waiting", "Texts that wait.", registry=self._registry).set_function(waiting)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Counts a request."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, rows: int) -> None:
        """Counts a batch."""
        self._batches.observe(rows)

    def answers(self, replies: Sequence[Reply]) -> None:
        """Counts answers, those that are no label together."""
        for reply in replies:
            known = reply.prediction.answer in (reply.description.labels or [])
            self._answers.labels(reply.prediction.answer if known else "other").inc()

    def text(self) -> bytes:
        """All counters."""
        return generate_latest(self._registry)
