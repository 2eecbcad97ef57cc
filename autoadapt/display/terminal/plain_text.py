"""Text of users, data and models on a terminal."""

import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from autoadapt.display.terminal.streams import drawn
from autoadapt.shown_text import printable


def plain(text: str) -> Text:
    """Text without markup, with every control and invisible character replaced by ?."""
    return Text(printable(text))


def terminal(stderr: bool = False, **settings: Any) -> Console:
    """A console on a standard stream that highlights nothing by itself.

    Args:
        stderr: whether it writes to standard error.
        settings: of `rich.console.Console`.
    """
    return Console(file=drawn(sys.stderr if stderr else sys.stdout), highlight=False, **settings)
