"""Text of users, data and models on a terminal."""

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from autoadapt.display.terminal.streams import drawn
from autoadapt.shown_text import printable


def plain(text: str) -> Text:
    """Text without markup, with every control and invisible character replaced by ?."""
    return Text(printable(text))


class _InertConsole(Console):
    """A console in which no text is markup, and no text that is drawn can steer the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is drawn, with every control and invisible character of a text replaced by ?."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


def terminal(stderr: bool = False, **settings: Any) -> Console:
    """A console on a standard stream that draws texts as they stand, whatever they hold.

    Args:
        stderr: whether it writes to standard error.
        settings: of `rich.console.Console`.
    """
    stream = drawn(sys.stderr if stderr else sys.stdout)
    return _InertConsole(file=stream, highlight=False, markup=False, emoji=False, **settings)
