"""autoadapt doctor: what this machine can do, and the fix for each lack."""

from typing import Annotated

import typer

from autoadapt.errors import Exit
from autoadapt.shown_text import inert_json


def doctor(as_json: Annotated[bool, typer.Option("--json", help="The findings as JSON.")] = False) -> None:
    """Say what this machine can do, and how to fix what it lacks."""
    from autoadapt.api.doctor import doctor as look

    found = look()
    if as_json:
        print(inert_json(found.model_dump_json(indent=1)))
    else:
        from autoadapt.display.terminal.checkups import print_checkup

        print_checkup(found)
    raise typer.Exit(Exit.OK if found.can_search else Exit.ENVIRONMENT)
