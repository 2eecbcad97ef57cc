"""Test quality against training rows, and the gain to expect of more rows."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from autoadapt.display.figures._style import error_bars, lay_out
from autoadapt.display.method_style import COLOURS, GREY

if TYPE_CHECKING:
    from autoadapt.runs.study import Study


def draw(study: "Study") -> go.Figure | None:
    """Measured points, the fitted curve and its 95 % band."""
    curve = study.verdict.curve if study.verdict is not None else None
    if curve is None:
        return None
    forecast, points, figure = curve.forecast, curve.points, go.Figure()
    rows = [p.rows for p in forecast]
    band = {"x": [*rows, *rows[::-1]], "y": [*(p.high for p in forecast), *(p.low for p in reversed(forecast))]}
    fill = {"fill": "toself", "fillcolor": "rgba(0,114,178,0.18)", "line_width": 0, "hoverinfo": "skip"}
    figure.add_scatter(**band, **fill, mode="lines", name="95 % band")
    line = {"color": COLOURS[0]}
    figure.add_scatter(x=rows, y=[p.quality for p in forecast], mode="lines", name="expected", line=line)
    figure.add_scatter(
        x=[p.rows for p in points],
        y=[p.quality for p in points],
        error_y=error_bars([p.quality for p in points], [p.low for p in points], [p.high for p in points]),
        mode="markers",
        marker={"size": 10, "color": COLOURS[1]},
        name=f"trial {curve.trial}, trained on this many rows",
    )
    figure.add_vline(x=points[-1].rows, line_dash="dash", line_color=GREY, annotation_text="rows that there are")
    lay_out(figure, "training rows", "quality on test rows")
    if forecast:
        last = forecast[-1]
        text = {"text": "expected, with its 95 % band", "font": {"size": 12}, "showarrow": False, "xanchor": "right"}
        figure.add_annotation(x=last.rows, y=last.quality, yshift=14, **text)
    return figure
