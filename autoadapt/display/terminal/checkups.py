"""What a machine can do, on a terminal."""

from rich.text import Text

from autoadapt.display.terminal.plain_text import plain, terminal
from autoadapt.domain.machine import Checkup

MARKS = {"ok": ("ok  ", "green"), "lack": ("-   ", "dim"), "stops": ("STOP", "bold red")}


def print_checkup(checkup: Checkup) -> None:
    """Prints a line per finding with the fix for what is missing, and whether a search can run."""
    console, width = terminal(), max(len(found.name) for found in checkup.findings)
    before = ""
    for found in checkup.findings:
        mark, style = MARKS[found.state]
        name = "" if found.name == before else found.name
        fix = "" if found.fix is None else f": {found.fix}"
        line = Text("  ").append(mark, style=style).append(f"  {name:<{width}}  ")
        console.print(line.append_text(plain(f"{found.says}{fix}")), soft_wrap=True)
        before = found.name
    console.print(
        "A search can run here. Lines with '-' are optional."
        if checkup.can_search
        else "No search can run here until what is marked STOP is fixed.",
        style="bold",
    )
