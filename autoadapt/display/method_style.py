"""Colour and marker of each method, the same in all figures."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoadapt.runs.study import Study

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#3A93C6", "#B98000", "#7A5195", "#6B7A00")
"""Distinct for colour-blind readers (after Okabe and Ito 2008, the light ones darkened), and of enough contrast with
white paper and with a dark page; markers differ too."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "star", "cross", "hexagon", "pentagon")
GREY, GOLD = "#777777", "#b8860b"


class MethodStyle:
    """Colour and marker of each method, always in the same order.

    Args:
        methods: in the order of the task.
        used: methods of the trials shown; those that the task does not name come last.
    """

    def __init__(self, methods: Sequence[str], used: Iterable[str]) -> None:
        shown = {*used}
        self.methods = [m for m in methods if m in shown] + sorted(shown - {*methods})

    @classmethod
    def of(cls, *studies: "Study") -> "MethodStyle":
        """The style of one or several studies."""
        methods = dict.fromkeys(m for s in studies for m in s.task.methods)
        return cls([*methods], [r.method for s in studies for r in s.rows])

    def colour(self, method: str) -> str:
        """Grey for a method that no trial uses."""
        return COLOURS[self.methods.index(method) % len(COLOURS)] if method in self.methods else GREY

    def symbol(self, method: str) -> str:
        """A cross for a method that no trial uses."""
        return SYMBOLS[self.methods.index(method) % len(SYMBOLS)] if method in self.methods else "x"
