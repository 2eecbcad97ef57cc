"""autoadapt recommend: another recommendation from a finished study."""

import json
from typing import Annotated

import typer

from autoadapt.cli.compare import RunFolder
from autoadapt.cli.frontier import SHORT_NAMES
from autoadapt.errors import Exit, UserError

GREATEST_WEIGHT = 1e9


def recommend(
    run: RunFolder,
    quality: Annotated[float | None, typer.Option(help="Least quality, 0 to 1.")] = None,
    latency_p95_ms: Annotated[float | None, typer.Option(help="Greatest p95 latency in ms.")] = None,
    cost_usd_per_1k: Annotated[float | None, typer.Option(help="Greatest cost of 1,000 queries in USD.")] = None,
    training_usd: Annotated[float | None, typer.Option(help="Greatest cost of training in USD.")] = None,
    memory_mb: Annotated[float | None, typer.Option(help="Greatest peak memory in megabytes.")] = None,
    artifact_mb: Annotated[float | None, typer.Option(help="Greatest size in megabytes of what is deployed.")] = None,
    robustness_points: Annotated[
        float | None, typer.Option(help="Most points of quality that perturbations may cost.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Weights of objectives, such as quality=2,cost=1,latency=1.")
    ] = None,
    knee: Annotated[bool, typer.Option("--knee", help="The knee of the frontier (equal weights).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The answer as JSON.")] = False,
) -> None:
    """Recommend again under other limits or weights, with the reason."""
    from autoadapt.api.study import Study

    study = Study.load(run)
    advice, binding, options = study.recommend(
        quality=quality,
        latency_p95_ms=latency_p95_ms,
        cost_usd_per_1k=cost_usd_per_1k,
        training_usd=training_usd,
        memory_mb=memory_mb,
        artifact_mb=artifact_mb,
        robustness_points=robustness_points,
        weights=_weights(weights, [goal.name for goal in study.goals]) if weights is not None else None,
        knee=knee,
    )
    if as_json:
        chosen = next((json.loads(o.model_dump_json()) for o in options if o.trial == advice.trial), None)
        payload = {"recommendation": json.loads(advice.model_dump_json()), "binding": binding, "option": chosen}
        from autoadapt.cli.printing import print_json

        print_json(payload)
    else:
        from autoadapt.display.terminal.advice import print_advice

        print_advice(advice, binding, options)
    if advice.trial is None:
        raise typer.Exit(Exit.NOTHING_FITS)


def _weights(text: str, objectives: list[str]) -> dict[str, float]:
    """Objective -> weight; objectives that are not named weigh 0."""
    weights: dict[str, float] = {}
    example = ",".join(f"{name}=1" for name in objectives)
    for part in text.split(","):
        name, _, value = part.partition("=")
        name = SHORT_NAMES.get(name.strip(), name.strip())
        if name in weights:
            raise UserError(f"--weights {text}: '{name}' is given twice; keep one")
        if name not in objectives:
            raise UserError(f"--weights {text}: unknown '{name}'; write it as {example}")
        try:
            weights[name] = float(value)
        except ValueError:
            raise UserError(f"--weights {text}: '{value}' is not a number; write it as {example}") from None
        if not 0 <= weights[name] <= GREATEST_WEIGHT:
            raise UserError(f"--weights {text}: '{value}' is not between 0 and {GREATEST_WEIGHT:g}; only ratios count")
    return {objective: weights.get(objective, 0.0) for objective in objectives}
