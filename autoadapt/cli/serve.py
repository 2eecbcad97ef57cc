"""autoadapt serve: an exported option behind HTTP."""

import math
import os
from pathlib import Path
from typing import Annotated

import typer

from autoadapt.bundle.serving.limits import Address, Limits
from autoadapt.errors import UserError


def serve(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle, or registry:NAME@ALIAS.", show_default=False)],
    host: Annotated[str, typer.Option(help="Address to listen at; another one needs a token.")] = Address.host,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = Address.port,
    token_env: Annotated[
        str | None, typer.Option(help="Environment variable with the token that requests must carry.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Longest time of a request.")] = Limits.seconds,
    waiting: Annotated[int, typer.Option(min=1, help="Texts that may wait; more are refused.")] = Limits.waiting,
    together: Annotated[int, typer.Option(min=1, help="Texts of a batch, at most.")] = Limits.together,
    body_bytes: Annotated[int, typer.Option(min=1, help="Largest request.")] = Limits.body_bytes,
    log: Annotated[
        Path | None, typer.Option(help="Append every input and its answer to this file. Default: they are not kept.")
    ] = None,
) -> None:
    """Serve an exported option over HTTP."""
    from autoadapt.api.serve import serve as run
    from autoadapt.display.terminal.bundles import print_started

    token = os.environ.get(token_env) if token_env else None
    if token_env and not token:
        raise UserError(f"--token-env {token_env}: this environment variable is not set")
    if not 0 < seconds < math.inf:
        raise UserError("--seconds must be a number greater than 0")
    limits = Limits(body_bytes, seconds, waiting, together)
    run(bundle, address=Address(host, port, token), limits=limits, log=log, on_start=print_started)
