"""autoadapt prompts: the prompt library."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoadapt.errors import Exit, UserError, did_you_mean

if TYPE_CHECKING:
    from autoadapt.domain.prompt_entry import TaskType

prompts = typer.Typer(
    help="List, show, lint and compare prompts of the library; save the best one of a run.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Reference = Annotated[str, typer.Argument(help="Id, ID@VERSION, or a file.", show_default=False)]
Own = Annotated[list[Path] | None, typer.Option("--folder", help="A folder of your own; can be given several times.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Kind = Annotated[
    str | None,
    typer.Option(
        "--task-type",
        help="classify, route, extract_json, question_answering, summarise or rewrite.",
        show_default=False,
    ),
]


@prompts.command("list")
def list_(task_type: Kind = None, folder: Own = None, as_json: Json = False) -> None:
    """List prompts with version, task type and best result."""
    from autoadapt.api.prompts import list_prompts
    from autoadapt.display.terminal.prompts import print_prompts, prompt_json

    listed = list_prompts(folder or (), _known(task_type))
    if as_json:
        from autoadapt.cli.printing import print_json

        print_json([prompt_json(stored) for stored in listed])
    else:
        print_prompts(listed)


@prompts.command("show")
def show(prompt: Reference, folder: Own = None, as_json: Json = False) -> None:
    """Show a prompt: instruction, template, variables, notes and results."""
    from autoadapt.api.prompts import find_prompt
    from autoadapt.display.terminal.prompts import print_prompt, prompt_json

    stored = find_prompt(prompt, folder or ())
    if as_json:
        from autoadapt.cli.printing import print_json

        print_json(prompt_json(stored))
    else:
        print_prompt(stored)


@prompts.command("lint")
def lint(
    target: Annotated[str, typer.Argument(help="A file, a folder, or an id.", show_default=False)],
    task: Annotated[
        Path | None,
        typer.Option(help="Task whose labels and rows a prompt must not hold, and whose models count tokens."),
    ] = None,
    folder: Own = None,
    as_json: Json = False,
) -> None:
    """Find variables that are not defined, labels and rows that give answers away; count tokens."""
    from autoadapt.api.prompts import lint_prompts

    linted = lint_prompts(target, folder or (), task)
    if as_json:
        from autoadapt.cli.printing import print_json

        print_json([one.model_dump(mode="json") for one in linted])
    else:
        from autoadapt.display.terminal.prompts import print_findings

        print_findings(linted)
    raise typer.Exit(Exit.CONFIG if any(one.failed for one in linted) else Exit.OK)


@prompts.command("diff")
def diff(first: Reference, second: Reference, folder: Own = None, as_json: Json = False) -> None:
    """Show what differs between two prompts or versions, and the difference in tokens."""
    from autoadapt.api.prompts import compare_prompts

    found = compare_prompts(first, second, folder or ())
    if as_json:
        from autoadapt.cli.printing import print_json

        print_json(found)
    else:
        from autoadapt.display.terminal.prompts import print_prompt_difference

        print_prompt_difference(found)


@prompts.command("save")
def save(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    folder: Annotated[
        Path, typer.Argument(help="Your folder of prompts; made if it is not there.", show_default=False)
    ],
    option: Annotated[
        str | None, typer.Option(help="Number of another trial. Default: the best prompt without training.")
    ] = None,
    task_type: Kind = None,
) -> None:
    """Write the best prompt of a run into a folder of yours, with its score."""
    from autoadapt.api.prompts import save_prompt

    stored, new = save_prompt(run, folder, option, _known(task_type))
    count = len(stored.entry.results)
    known = "" if new else f", which was there already and has {count} result{'s' if count != 1 else ''} now"
    print(f"{stored.path}: {stored.entry.name}{known}")


def _known(task_type: str | None) -> "TaskType | None":
    from autoadapt.domain.prompt_entry import TASK_TYPES

    found = next((known for known in TASK_TYPES if known == task_type), None)
    if task_type is not None and found is None:
        raise UserError(f"--task-type {task_type}: {did_you_mean(task_type, TASK_TYPES)}")
    return found
