"""autoadapt check: validate everything, run nothing."""

from typing import Annotated

import typer

from autoadapt.cli.search import Overrides, TaskFile


def check(
    task: TaskFile,
    overrides: Overrides = None,
    show: Annotated[bool, typer.Option("--show", help="Print the task with every default.")] = False,
) -> None:
    """Validate task, space, prompts, data and models; run nothing."""
    from autoadapt.api.check import check as check_task
    from autoadapt.domain.space import Choices

    resolved = check_task(task, overrides=overrides or ())
    if show:
        from autoadapt.tasks.parsing import to_yaml

        print(to_yaml(resolved.task), end="")
        return
    splits = resolved.splits
    labels = f"{len(splits.labels)} labels" if splits.labels else "free text"
    print(
        f"ok: {resolved.task.name}: {len(splits.train)} training, {len(splits.dev)} early-stopping, "
        f"{len(splits.validation)} validation, {len(splits.test)} test rows; {labels}; metric {resolved.task.metric}"
    )
    for name, branch in resolved.space.arms.items():
        searched = sum(not isinstance(spec, Choices) or len(spec.choices) > 1 for spec in branch.specs.values())
        print(f"  {name}: {searched} parameters searched; models: {', '.join(branch.models)}")
    for name, model in resolved.models.items():
        print(f"  model {name}: {model.family}, {model.location}")
    print(f"  price: ${float(resolved.task.economics.hour_usd):g} a device-hour, {resolved.price_source}")
    for note in (*resolved.warnings, *splits.notes):
        print(f"  note: {note}")
