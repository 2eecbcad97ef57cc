"""autoadapt recommend: another recommendation from a finished study."""

import json
from typing import Annotated

import typer

from autoadapt.cli.compare import RunFolder
from autoadapt.errors import Exit, UserError


def recommend(
    run: RunFolder,
    min_quality: Annotated[float | None, typer.Option(help="Least quality, 0 to 1.")] = None,
    max_p95: Annotated[float | None, typer.Option(help="Greatest p95 latency in ms.")] = None,
    max_cost_per_1k: Annotated[float | None, typer.Option(help="Greatest cost of 1,000 queries in USD.")] = None,
    max_train_usd: Annotated[float | None, typer.Option(help="Greatest cost of training in USD.")] = None,
    max_memory_mb: Annotated[float | None, typer.Option(help="Greatest peak memory.")] = None,
    max_artifact_mb: Annotated[float | None, typer.Option(help="Greatest size of what is deployed.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="Weights of objectives, such as quality=2,cost=1,latency=1.")
    ] = None,
    knee: Annotated[bool, typer.Option("--knee", help="The knee of the frontier (equal weights).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The answer as JSON.")] = False,
) -> None:
    """Recommend again under other limits or weights, with the reason."""
    from autoadapt.runs.study import Study

    study = Study.load(run)
    advice, binding, options = study.recommend(
        min_quality=min_quality,
        max_p95=max_p95,
        max_cost_per_1k=max_cost_per_1k,
        max_train_usd=max_train_usd,
        max_memory_mb=max_memory_mb,
        max_artifact_mb=max_artifact_mb,
        weights=_weights(weights) if weights is not None else None,
        knee=knee,
    )
    if as_json:
        chosen = next((json.loads(o.model_dump_json()) for o in options if o.trial == advice.trial), None)
        payload = {"recommendation": json.loads(advice.model_dump_json()), "binding": binding, "option": chosen}
        print(json.dumps(payload, indent=1, ensure_ascii=False))
    else:
        from autoadapt.display.terminal.advice import print_advice

        print_advice(advice, binding, options, study.goals)
    if advice.trial is None:
        raise typer.Exit(Exit.NOTHING_FITS)


SHORT = {"cost": "cost_usd_per_1k", "latency": "latency_ms"}
"""Short forms of objectives that this command accepts."""


def _weights(text: str) -> dict[str, float]:
    weights = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        try:
            weights[SHORT.get(name.strip(), name.strip())] = float(value)
        except ValueError:
            raise UserError(
                f"--weights {text}: '{value}' is no number; write it as quality=2,cost=1,latency=1"
            ) from None
    return weights
