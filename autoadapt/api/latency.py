"""Latency: a running server under load; what ``autoadapt latency`` calls."""

from collections.abc import Callable, Sequence

from autoadapt.assess.server_load import LoadSettings, measure_server
from autoadapt.domain.load import Load, LoadRun
from autoadapt.providers.openai import Server


def latency(
    server: Server,
    prompts: Sequence[str],
    *,
    on_run: Callable[[LoadRun], None] = lambda run: None,
    **settings: object,
) -> Load:
    """A running OpenAI-compatible server under load; like ``autoadapt latency``.

    Args:
        server: `autoadapt.Server(url, model)`.
        prompts: what is asked.
        on_run: called with the figures of every rate.
        settings: fields of `LoadSettings`: rate, requests, latency_p95_ms, search, seconds, hardware, seed.

    Raises:
        UserError: the server cannot be reached or refuses, or a setting is wrong.
    """
    from autoadapt.tasks.parsing import check

    return measure_server(server, prompts, check(LoadSettings, settings, "latency"), on_run)
