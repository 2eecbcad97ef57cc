"""Layout, error bars and escaping that all figures share."""

import html
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

DASHES = ("solid", "dash", "dot", "dashdot")
GOLD, RED = "#b8860b", "#b00020"


def escaped(text: object) -> str:
    """A user's name without anything that plotly would take for markup."""
    return html.escape(str(text))


def lay_out(figure: go.Figure, x: str, y: str) -> go.Figure:
    """The figure with axis titles and the common margins and legend."""
    return figure.update_layout(
        xaxis_title=x,
        yaxis_title=y,
        margin={"l": 70, "r": 20, "t": 30, "b": 60},
        legend={"orientation": "h", "y": -0.2},
        hoverlabel={"align": "left"},
        template="none",
    )


def error_bars(values: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> dict[str, Any]:
    """Asymmetric error bars from the ends of intervals."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for value, high in zip(values, highs, strict=True)],
        "arrayminus": [value - low for value, low in zip(values, lows, strict=True)],
    }
