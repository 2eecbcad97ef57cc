"""Layout, axes, direct labels and escaping that all figures share."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from autoadapt.display.text import dollars

RED = "#b00020"
WIDTH, HEIGHT = 900, 400
"""Pixels that a figure is expected to have, for which labels are placed."""
LETTER, LINE = 6.6, 17
"""Pixels of a letter and of a line of a label."""
LINEAR_UP_TO = 20.0
"""Ratio of the greatest value to the median up to which an axis is linear: beyond it most points would crowd."""
LEAST_WIDTH = 0.05
"""What a linear axis shows at least, as a share of its greatest value."""
LONGEST = 44
"""Letters of a label beside a plot."""
COINCIDE = 0.02
"""Share of the axis by which lines may differ that are drawn as one."""


def escaped(text: object) -> str:
    """A user's name without anything that plotly would take for markup."""
    return html.escape(str(text))


def lay_out(figure: go.Figure, x: str, y: str) -> go.Figure:
    """The figure with axis titles and the common margins; labels stand at what they name, so there is no legend."""
    return figure.update_layout(
        xaxis_title=x,
        yaxis_title=y,
        margin={"l": 70, "r": 24, "t": 20, "b": 54},
        showlegend=False,
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


def is_linear(values: Sequence[float]) -> bool:
    """Whether these values can be shown on a linear axis without most of them crowding at its beginning."""
    positive = sorted(v for v in values if v > 0)
    return not positive or positive[-1] <= LINEAR_UP_TO * positive[len(positive) // 2]


def axis(values: Sequence[float], money: bool = False, linear: bool | None = None) -> dict[str, Any]:
    """An axis whose range and ticks come from the data.

    Args:
        values: all that are drawn.
        money: whether they are USD.
        linear: None: as `is_linear` says.
    """
    known = [v for v in values if math.isfinite(v)]
    if not known:
        return {}
    if is_linear(known) if linear is None else linear:
        return _linear_axis([0.0, *known] if money else known, money)
    low, high = min(v for v in known if v > 0), max(known)
    span = max(math.log10(high / low), 0.3)
    ends = (math.log10(low) - 0.08 * span, math.log10(high) + 0.12 * span)
    decades = range(math.floor(ends[0]), math.ceil(ends[1]) + 1)
    steps = (1,) if span > 4 else (1, 3) if span > 2 else (1, 2, 5)
    ticks = [s * 10.0**d for d in decades for s in steps if ends[0] <= math.log10(s * 10.0**d) <= ends[1]]
    return {
        "type": "log",
        "range": list(ends),
        "tickvals": ticks,
        "ticktext": [_tick(t, money) for t in ticks],
        "zeroline": False,
    }


def _linear_axis(known: Sequence[float], money: bool) -> dict[str, Any]:
    low, high = min(known), max(known)
    if low >= 0 and low < 0.5 * high:
        low = 0.0
    if high - low < LEAST_WIDTH * abs(high):  # values that hardly differ would get ticks of many digits
        centre = (low + high) / 2
        low, high = centre - LEAST_WIDTH * abs(high) / 2, centre + LEAST_WIDTH * abs(high) / 2
    margin = 0.06 * ((high - low) or 1.0)
    return {
        "type": "linear",
        "range": [low - (0.4 * margin if low == 0 else margin), high + margin],
        "nticks": 7,
        "tickprefix": "$" if money else "",
        "exponentformat": "none",
        "separatethousands": True,
        "zeroline": False,
    }


def _tick(value: float, money: bool) -> str:
    text = f"{value:,.0f}" if value >= 1 else dollars(value).rstrip("0")
    return f"${text}" if money else text


def placed_labels(
    points: Sequence[tuple[float, float, str, str]],
    others: Sequence[tuple[float, float]],
    x: Mapping[str, Any],
    y: Mapping[str, Any],
) -> list[Any]:
    """Annotations that name points without covering each other or other points.

    Args:
        points: x, y, name, and a short name that a narrow page shows.
        others: points without a name.
        x, y: axes, with their ranges.
    """
    every = [(px, py) for px, py, _, _ in points] + list(others)
    places = [(_share(px, x) * WIDTH, (1 - _share(py, y)) * HEIGHT) for px, py in every]
    taken = [(a - 8, b - 8, a + 8, b + 8) for a, b in places]
    notes = []
    for (px, py, name, short), (a, b) in zip(points, places, strict=False):
        width = LETTER * len(name)
        box, shift, anchor = _free_place(a, b, width, taken)
        taken.append(box)
        notes.append(
            {
                "x": math.log10(px) if x.get("type") == "log" else px,
                "y": math.log10(py) if y.get("type") == "log" else py,
                "text": escaped(name),
                "name": escaped(short),
                "ax": shift[0],
                "ay": shift[1],
                "xanchor": anchor,
                "showarrow": True,
                "arrowwidth": 1,
                "arrowhead": 0,
                "standoff": 7,
                "arrowcolor": "#888888",
                "font": {"size": 12},
            }
        )
    return notes


def _free_place(
    a: float, b: float, width: float, taken: Sequence[tuple[float, float, float, float]]
) -> tuple[tuple[float, float, float, float], tuple[float, float], str]:
    """The first place around a point that is free and inside the figure: its box, its shift, and its anchor."""
    first: tuple[tuple[float, float, float, float], tuple[float, float], str] | None = None
    for distance in (0, 18, 36, 54, 72, 90):
        for side, up in ((1, -1), (1, 1), (-1, -1), (-1, 1)):
            dx, dy = side * 16.0, float(up * distance)
            left = a + dx if side > 0 else a + dx - width
            box = (left, b + dy - LINE / 2, left + width, b + dy + LINE / 2)
            place = box, (dx, dy), "left" if side > 0 else "right"
            inside = box[0] > -40 and box[2] < WIDTH + 10 and box[1] > -10 and box[3] < HEIGHT + 5
            if inside and first is None:
                first = place
            if inside and not any(_overlap(box, other) for other in taken):
                return place
    return first if first is not None else ((a, b, a, b), (16.0, 0.0), "left")


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _share(value: float, drawn_on: Mapping[str, Any]) -> float:
    """Where a value stands on an axis, from 0 to 1."""
    low, high = drawn_on["range"]
    place = math.log10(value) if drawn_on.get("type") == "log" else value
    return float((place - low) / ((high - low) or 1.0))


def end_labels(ends: Sequence[tuple[float, str, str]], y: Mapping[str, Any]) -> list[Any]:
    """Annotations at the right ends of lines, moved apart where the lines end close to each other.

    Args:
        ends: last value, name and colour of each line.
        y: the axis, with its range.
    """
    ordered = sorted(ends, key=lambda end: _share(end[0], y))
    places: list[float] = []
    for value, _, _ in ordered:
        place = _share(value, y) * HEIGHT
        places.append(max(place, places[-1] + LINE) if places else place)
    over = max(0.0, (places[-1] if places else 0.0) - HEIGHT)
    return [
        {
            "x": 1.0,
            "xref": "paper",
            "xanchor": "left",
            "y": (place - over) / HEIGHT,
            "yref": "paper",
            "text": f"\u25cf {escaped(cut(name))}",
            "font": {"size": 12, "color": colour},
            "showarrow": False,
            "align": "left",
        }
        for (_, name, colour), place in zip(ordered, places, strict=True)
    ]


def cut(name: str) -> str:
    """A name that fits beside a plot."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


def margin_for(names: Sequence[str]) -> dict[str, int]:
    """The margin that labels at the ends of lines need."""
    return {"r": round(26 + LETTER * max((len(cut(name)) for name in names), default=0))}


def merged(
    curves: Sequence[tuple[str, Sequence[float], str]], y: Mapping[str, Any]
) -> list[tuple[list[str], Sequence[float], str]]:
    """Lines with the names of those that would be drawn over each other put together.

    Args:
        curves: name, values at common places, and colour of each line.
        y: the axis, with its range.
    """
    groups: list[tuple[list[str], Sequence[float], str]] = []
    for name, values, colour in curves:
        for names, others, _ in groups:
            apart = max(abs(_share(a, y) - _share(b, y)) for a, b in zip(values, others, strict=True))
            if apart < COINCIDE:
                names.append(name)
                break
        else:
            groups.append(([name], values, colour))
    return groups


def group_name(names: Sequence[str]) -> str:
    """The names of lines that coincide: two are named, of more the first and how many others."""
    return " and ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} others"
