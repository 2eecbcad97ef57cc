"""autoadapt latency: a running server under load."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from autoadapt.errors import UserError
from autoadapt.shown_text import inert_json


def latency(
    url: Annotated[str, typer.Argument(help="Such as http://127.0.0.1:8000/v1.", show_default=False)],
    model: Annotated[str, typer.Option(help="The model as the server calls it.", show_default=False)],
    prompts: Annotated[Path, typer.Option(help="Prompts: one a line, or .jsonl.", show_default=False)],
    rate: Annotated[float, typer.Option(help="Requests per second to begin with.")] = 1.0,
    latency_p95_ms: Annotated[float | None, typer.Option(help="Latency target in ms, for 99 % of requests.")] = None,
    requests: Annotated[int, typer.Option(help="Requests at each rate, at least.")] = 100,
    fixed: Annotated[bool, typer.Option("--fixed", help="Measure this rate only.")] = False,
    interface: Annotated[Literal["completions", "chat"], typer.Option(help="OpenAI interface.")] = "completions",
    max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 64,
    seconds: Annotated[float, typer.Option(help="No further rate is tried after so many seconds.")] = 300.0,
    hardware: Annotated[str, typer.Option(help="What the server runs on, for the record.")] = "not stated",
    key_env: Annotated[str | None, typer.Option(help="Environment variable that holds the API key.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Raw samples and percentiles as JSON.")] = False,
) -> None:
    """Measure a running OpenAI-compatible server under load."""
    from autoadapt.api.latency import latency as measure
    from autoadapt.assess.server_load import read_prompts
    from autoadapt.display.terminal.latency import load_json, print_load, run_line
    from autoadapt.providers.addresses import checked_key, checked_url
    from autoadapt.providers.openai import Server

    if rate <= 0 or requests < 1 or max_tokens < 1 or (latency_p95_ms is not None and latency_p95_ms <= 0):
        raise UserError("--rate, --requests, --max-tokens and --latency-p95-ms must be greater than 0")
    checked_url(url, "name an environment variable that has the key with --key-env")
    key = None
    if key_env is not None:
        key = os.environ.get(key_env)
        if not key:
            raise UserError(f"--key-env {key_env}: this environment variable is not set")
        checked_key(key, key_env)
    load = measure(
        Server(url, model, interface, max_tokens, key),
        read_prompts(prompts),
        on_run=(lambda run: None) if as_json else (lambda run: print(run_line(run, latency_p95_ms), flush=True)),
        rate=rate,
        requests=requests,
        latency_p95_ms=latency_p95_ms,
        search=not fixed,
        seconds=seconds,
        hardware=hardware,
    )
    if as_json:
        print(inert_json(load_json(load, latency_p95_ms)))
    else:
        print_load(load, latency_p95_ms)
