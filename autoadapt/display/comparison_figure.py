"""One figure of a comparison: a panel per scenario, as a page (plotly) or as a picture (matplotlib)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoadapt.display.comparison_marks import Mark, Panel, Place, panels
from autoadapt.display.method_style import COLOURS, GOLD, GREY, SYMBOLS
from autoadapt.display.static_page import FORMATS, static_page
from autoadapt.domain.comparison import Column
from autoadapt.domain.objective import COST, Goal
from autoadapt.domain.option import number_text
from autoadapt.errors import UserError
from autoadapt.files import output_file, write_atomic

if TYPE_CHECKING:
    import plotly.graph_objects as go

PAGE = ".html"
MARKERS = "osD^*PhX"
"""Of matplotlib, as alike to `SYMBOLS` as it has them."""
INCHES = (7.2, 4.0)
"""Of a panel in a picture."""
PIXELS = 480
"""Height of a panel in a page."""
MOST_NAMED = 12
"""Options with a name in a panel; more names would cover the marks."""
HINT = (
    "Large marks: the frontier, which nothing beats in all objectives; small pale ones: other options. A ring: the "
    "recommended option. Bars: 95 %. Hollow: quality on validation rows."
)


def draw(columns: Sequence[Column], goals: Sequence[Goal], path: Path, x: str = COST, y: str = "quality") -> None:
    """Writes the figure.

    Args:
        columns: one per scenario.
        goals: the objectives of the task.
        path: of the file; its suffix gives its format.
        x, y: quality, cost_usd_per_1k, latency_ms, or another objective of the task.

    Raises:
        UserError: the format or an axis is unknown, a package is not installed, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in (PAGE, *FORMATS):
        raise UserError(f"{path}: unknown format of a figure; it must end in {', '.join((PAGE, *FORMATS))}")
    drawn = panels(columns, goals, x, y)
    methods = list(dict.fromkeys(mark.method for panel in drawn for mark in panel.marks))
    if suffix == PAGE:
        _write_page(drawn, methods, path)
        return
    with static_page(path, (INCHES[0], INCHES[1] * len(drawn)), {"font.size": 8}) as page:
        grid: Any = page.subplots(len(drawn), 1, squeeze=False)
        for axes, panel in zip(grid[:, 0], drawn, strict=True):
            _picture(axes, panel, methods)
        page.text(0.01, 0.005, HINT, fontsize=6, color=GREY, va="bottom")
        page.set_layout_engine("constrained", rect=(0, 0.06 / len(drawn), 1, 1 - 0.06 / len(drawn)))


def named(panel: Panel) -> list[Mark]:
    """The marks that get a name: the recommended one, and those of the frontier, the best first."""
    shown = [mark for mark in panel.marks if mark.on_frontier or mark.recommended]
    sign = -1 if panel.y.maximized else 1
    return sorted(shown, key=lambda mark: (not mark.recommended, sign * mark.y.value))[:MOST_NAMED]


def _axes_of(panel: Panel) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ranges and ticks of both axes, from what is drawn."""
    from autoadapt.display.figures._style import axis

    def drawn_on(place_of: Callable[[Mark], Place], money: bool) -> dict[str, Any]:
        places = [place_of(mark) for mark in panel.marks]
        return axis([v for p in places for v in (p.value, p.low, p.high)], money=money)

    return drawn_on(lambda mark: mark.x, panel.x.money), drawn_on(lambda mark: mark.y, panel.y.money)


def _labels(panel: Panel, across: dict[str, Any], up: dict[str, Any]) -> list[dict[str, Any]]:
    """Annotations with names that cover neither each other nor marks; a value of 0 has no place on a log axis."""
    from autoadapt.display.figures._style import placed_labels

    def fits(mark: Mark) -> bool:
        return all(v > 0 or on["type"] != "log" for v, on in ((mark.x.value, across), (mark.y.value, up)))

    chosen = [mark for mark in named(panel) if fits(mark)]
    others = [(m.x.value, m.y.value) for m in panel.marks if fits(m) and m not in chosen]
    points = [(m.x.value, m.y.value, m.name, number_text(m.trial)) for m in chosen]
    return placed_labels(points, others, across, up)


# -- a page


def _write_page(drawn: Sequence[Panel], methods: Sequence[str], path: Path) -> None:
    from plotly.io import to_html
    from plotly.subplots import make_subplots

    from autoadapt.display.figures._style import escaped

    figure = make_subplots(rows=len(drawn), cols=1, subplot_titles=[escaped(panel.title) for panel in drawn])
    for row, panel in enumerate(drawn, start=1):
        _add_panel(figure, panel, methods, row)
    note = {"text": HINT, "x": 0, "y": 0, "yshift": -64, "xref": "paper", "yref": "paper", "showarrow": False}
    figure.add_annotation(**note, xanchor="left", yanchor="top", font={"size": 11, "color": GREY})
    margin = {"l": 80, "r": 30, "t": 50, "b": 110}
    figure.update_layout(showlegend=False, template="simple_white", height=PIXELS * len(drawn) + 60, margin=margin)
    with output_file(path) as target:
        write_atomic(target, to_html(figure, include_plotlyjs=True, config={"displaylogo": False}))


def _add_panel(figure: "go.Figure", panel: Panel, methods: Sequence[str], row: int) -> None:
    from autoadapt.display.figures._style import error_bars, escaped

    across, up = _axes_of(panel)
    steps = panel.frontier
    line = {"color": GREY, "width": 1.5, "shape": "hv", "dash": "dot"}
    figure.add_scatter(
        x=[p[0] for p in steps], y=[p[1] for p in steps], mode="lines", line=line, hoverinfo="skip", row=row, col=1
    )
    for mark in panel.marks:
        place, name = methods.index(mark.method), escaped(mark.name)
        symbol = SYMBOLS[place % len(SYMBOLS)] + ("" if mark.tested else "-open")
        bars = {
            f"error_{side}": {**error_bars([p.value], [p.low], [p.high]), "thickness": 1.2, "width": 3}
            for side, p in (("x", mark.x), ("y", mark.y))
            if mark.on_frontier and p.high > p.low
        }
        colour = COLOURS[place % len(COLOURS)]
        figure.add_scatter(
            x=[mark.x.value],
            y=[mark.y.value],
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 12 if mark.on_frontier else 8},
            opacity=1.0 if mark.on_frontier else 0.45,
            hovertemplate=f"{name}, {escaped(number_text(mark.trial))}<br>%{{x:.4g}}, %{{y:.4g}}<extra></extra>",
            row=row,
            col=1,
            **bars,
        )
        if mark.recommended:
            ring = {"size": 24, "symbol": "circle-open", "color": GOLD, "line": {"width": 3}}
            place_of = {"x": [mark.x.value], "y": [mark.y.value]}
            figure.add_scatter(**place_of, mode="markers", marker=ring, hoverinfo="skip", row=row, col=1)
    figure.update_xaxes(title_text=escaped(panel.x.title), row=row, col=1, **across)
    figure.update_yaxes(title_text=escaped(panel.y.title), row=row, col=1, **up)
    for label in _labels(panel, across, up):
        figure.add_annotation(**label, row=row, col=1)


# -- a picture


def _picture(axes: Any, panel: Panel, methods: Sequence[str]) -> None:
    across, up = _axes_of(panel)
    for side, on in (("x", across), ("y", up)):
        _scale(getattr(axes, f"set_{side}scale"), getattr(axes, f"set_{side}lim"), getattr(axes, f"{side}axis"), on)
    steps = panel.frontier
    axes.step([p[0] for p in steps], [p[1] for p in steps], where="post", color=GREY, linestyle="dotted", linewidth=1)
    for mark in panel.marks:
        place = methods.index(mark.method)
        colour, x, y = COLOURS[place % len(COLOURS)], mark.x, mark.y
        axes.errorbar(
            [x.value],
            [y.value],
            xerr=[[x.value - x.low], [x.high - x.value]] if mark.on_frontier else None,
            yerr=[[y.value - y.low], [y.high - y.value]] if mark.on_frontier else None,
            color=colour,
            marker=MARKERS[place % len(MARKERS)],
            markersize=6 if mark.on_frontier else 4,
            markerfacecolor=colour if mark.tested else "none",
            alpha=1.0 if mark.on_frontier else 0.45,
            elinewidth=0.8,
        )
        if mark.recommended:
            axes.plot([x.value], [y.value], "o", markersize=13, markerfacecolor="none", color=GOLD, markeredgewidth=2)
    for label in _labels(panel, across, up):
        _annotate(axes, label, across, up)
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x.title)
    axes.set_ylabel(panel.y.title)


def _scale(set_scale: Any, set_limits: Any, side: Any, drawn_on: dict[str, Any]) -> None:
    """An axis of a picture with the range and the ticks of a page's."""
    logarithmic = drawn_on["type"] == "log"
    set_scale("log" if logarithmic else "linear")
    set_limits(*(10**end if logarithmic else end for end in drawn_on["range"]))
    if logarithmic:
        side.set_ticks(drawn_on["tickvals"], labels=drawn_on["ticktext"])
        side.set_ticks([], minor=True)
    elif drawn_on["tickprefix"]:
        side.set_major_formatter(lambda value, position: f"{drawn_on['tickprefix']}{value:,g}")


def _annotate(axes: Any, label: dict[str, Any], across: dict[str, Any], up: dict[str, Any]) -> None:
    """A name at the place that it has in a page, whose pixels are taken for points of three quarters."""
    import html

    at = [10 ** label[k] if on["type"] == "log" else label[k] for k, on in (("x", across), ("y", up))]
    axes.annotate(
        html.unescape(label["text"]),
        at,
        xytext=(0.6 * label["ax"], -0.6 * label["ay"]),
        textcoords="offset points",
        ha=label["xanchor"],
        va="center",
        fontsize=7,
        arrowprops={"arrowstyle": "-", "color": "#888888", "linewidth": 0.6, "shrinkB": 4},
    )
