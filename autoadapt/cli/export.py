"""autoadapt export: an option of a finished run as one folder to deploy."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from autoadapt.cli.compare import RunFolder


def export(
    run: RunFolder,
    folder: Annotated[Path, typer.Argument(help="The folder to make; it must not exist.", show_default=False)],
    option: Annotated[
        str | None, typer.Option(help="Number of a trial, or of a cascade, '3 > 12'. Default: the recommended one.")
    ] = None,
    onnx: Annotated[
        bool | None,
        typer.Option(
            "--onnx/--no-onnx",
            help="Write encoders and classifiers on states in ONNX. Default: where the search found that to be faster.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        Literal["edge"] | None, typer.Option(help="edge: ONNX with weights of eight bits, scored anew.")
    ] = None,
    repository: Annotated[
        str | None, typer.Option("--push", help="Upload it to this repository of the Hugging Face hub, owner/name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The bundle's option.json.")] = False,
) -> None:
    """Write an option as one folder to deploy, and check it."""
    from autoadapt.api.export import export as write
    from autoadapt.api.export import push
    from autoadapt.bundle.hub import check_access

    if repository is not None:
        check_access()
    form: Literal["fp32", "int8", "as_measured"] | None = "as_measured" if onnx is None else "fp32" if onnx else None
    description = write(run, folder, option=option, onnx="int8" if target else form)
    if as_json:
        from autoadapt.cli.printing import print_json

        print_json(description)
    else:
        from autoadapt.display.terminal.bundles import print_exported

        print_exported(folder, description)
    if repository is not None:
        print(push(folder, repository))
