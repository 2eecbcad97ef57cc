"""Figures of a study, in plotly: for the report and for notebooks. Nothing is drawn from the text of rows.

Layouts carry no colours of page or grid: the report puts in those of its light or dark theme.
"""

import html
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from autoadapt.domain.comparison import Column
from autoadapt.domain.option import Option, RawOption
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.verdict import Compared, Verdict
from autoadapt.errors import UserError, did_you_mean
from autoadapt.pareto.reference import hypervolume_over_spend, reference_of
from autoadapt.study.finished import Study
from autoadapt.verdict.scenarios import monthly_costs

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Told apart by colour-blind eyes (Okabe and Ito 2008); markers differ too."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "star", "cross")
AXES = {
    "quality": "quality",
    "cost_usd_per_1k": "USD per 1,000 queries",
    "latency_ms": "latency in ms (p95)",
}
PAIRS = (("cost_usd_per_1k", "quality"), ("latency_ms", "quality"), ("cost_usd_per_1k", "latency_ms"))
QUALITY_BANDS = ("#8a63b5", "#4f7fc4", "#2a9d8f", "#6aaf3d", "#d9a400")
"""From low to high, readable on light and on dark ground."""
DASHES = ("solid", "dash", "dot", "dashdot")
MOST_LINES = 400
"""Of one plot of parameters; more are drawn over each other."""


def figure(study: Study, kind: str, **options: Any) -> go.Figure:
    """One figure of a study.

    Args:
        study: loaded.
        kind: frontier (x, y: names of objectives), hypervolume, cost (hosting), latency, parameters (method), learning,
            loss, importance, differences.
        options: of that kind.

    Raises:
        UserError: the kind is unknown, or the study has nothing of it yet.
    """
    kinds: dict[str, Callable[..., go.Figure | None]] = {
        "frontier": frontier,
        "hypervolume": hypervolume,
        "cost": cost,
        "latency": latency,
        "parameters": parameters,
        "learning": learning,
        "loss": loss,
        "importance": importance,
        "differences": differences,
    }
    if kind not in kinds:
        raise UserError(f"unknown figure '{kind}': {did_you_mean(kind, kinds)}")
    found = kinds[kind](study, **options)
    if found is None:
        raise UserError(f"{study.root}: nothing to draw for '{kind}' yet")
    return found


def _plain(text: object) -> str:
    """Names of the user's, with nothing that plotly would take for markup."""
    return html.escape(str(text))


class Looks:
    """Colour and marker of each method of a study, always in the same order."""

    def __init__(self, rows: Sequence[TrialRow]) -> None:
        usual = ("prompt", "lora", "full")
        methods = sorted({r.method for r in rows}, key=lambda m: (usual.index(m) if m in usual else 3, m))
        self.methods = methods

    def colour(self, method: str) -> str:
        return COLOURS[self.methods.index(method) % len(COLOURS)] if method in self.methods else "#777777"

    def symbol(self, method: str) -> str:
        return SYMBOLS[self.methods.index(method) % len(SYMBOLS)] if method in self.methods else "x"


def _layout(found: go.Figure, x: str, y: str, **more: Any) -> go.Figure:
    found.update_layout(
        xaxis_title=x,
        yaxis_title=y,
        margin={"l": 70, "r": 20, "t": 30, "b": 60},
        legend={"orientation": "h", "y": -0.2},
        hoverlabel={"align": "left"},
        template="none",
        **more,
    )
    return found


def _about(row: TrialRow) -> str:
    told = [f"trial {row.trial}: {_plain(row.method)} on {_plain(row.model)}"]
    told += [
        f"{_plain(k)} = {v:.3g}" if isinstance(v, float) else f"{_plain(k)} = {_plain(v)}"
        for k, v in row.params.items()
    ]
    if row.test_quality is not None:
        told.append(f"test quality {row.test_quality:.3f}")
    if row.quality is not None:
        told.append(f"validation quality {row.quality:.3f}")
    return "<br>".join(told)


def frontier(study: Study, x: str = "cost_usd_per_1k", y: str = "quality") -> go.Figure | None:
    """All trials measured in full, two objectives at a time; the frontier with its test scores and 95 % intervals."""
    rows = [r for r in study.rows if r.state == "complete" and r.quality is not None]
    if not rows:
        return None
    looks, options = Looks(study.rows), {o.trial: o for o in study.options}
    found = go.Figure()
    groups: list[tuple[str, Callable[[TrialRow], bool], dict[str, Any]]] = [
        ("other trials (validation)", lambda r: not r.on_frontier and not r.within_noise, {"size": 7, "opacity": 0.35}),
        ("beaten within noise (validation)", lambda r: r.within_noise, {"size": 9, "opacity": 0.8, "open": True}),
        ("frontier (test where scored)", lambda r: r.on_frontier, {"size": 13, "opacity": 1.0}),
    ]
    for method in looks.methods:
        for name, belongs, look in groups:
            kept = [r for r in rows if r.method == method and belongs(r)]
            if kept:
                found.add_trace(_points(kept, options, x, y, f"{_plain(method)}: {name}", looks, look))
    chosen = options.get(study.recommendation.trial) if study.recommendation.trial is not None else None
    row = next((r for r in rows if chosen is not None and r.trial == chosen.trial), None)
    if row is not None:
        ring = {"size": 24, "color": "rgba(0,0,0,0)", "line": {"width": 3, "color": "#b8860b"}}
        found.add_scatter(
            x=[_value(row, options, x)],
            y=[_value(row, options, y)],
            mode="markers",
            marker=ring,
            name="recommended",
            hoverinfo="skip",
        )
    _layout(found, AXES[x], AXES[y])
    for axis, name in (("xaxis", x), ("yaxis", y)):
        if name != "quality":
            found.update_layout({axis: {"type": "log", "exponentformat": "power", "nticks": 8}})
    return found


def _value(row: TrialRow, options: Mapping[int, Option], name: str) -> float | None:
    option = options.get(row.trial)
    if name == "quality":
        return row.test_quality if row.test_quality is not None else row.quality
    if option is not None:  # what is told elsewhere in the report, under load where measured
        return option.cost_usd_per_1k if name == "cost_usd_per_1k" else (option.latency_p95_ms or option.latency_p50_ms)
    value: float | None = getattr(row, name)
    return value


def _points(
    rows: Sequence[TrialRow],
    options: Mapping[int, Option],
    x: str,
    y: str,
    name: str,
    looks: Looks,
    look: Mapping[str, Any],
) -> go.Scatter:
    method = rows[0].method
    error = None
    if y == "quality" and rows[0].on_frontier:
        ends = [
            (r.test_low, r.test_high, r.test_quality)
            if r.test_quality is not None
            else (r.quality_low, r.quality_high, r.quality)
            for r in rows
        ]
        error = {
            "type": "data",
            "symmetric": False,
            "array": [(high or 0) - (mid or 0) for _, high, mid in ends],
            "arrayminus": [(mid or 0) - (low or 0) for low, _, mid in ends],
            "thickness": 1.2,
        }
    return go.Scatter(
        x=[_value(r, options, x) for r in rows],
        y=[_value(r, options, y) for r in rows],
        error_y=error,
        mode="markers",
        name=name,
        # of hundreds of trials the table tells more than the pointer
        text=[_about(r) if r.on_frontier or r.within_noise else f"trial {r.trial}" for r in rows],
        hovertemplate="%{text}<br>" + f"{AXES[x]}: %{{x:.4g}}<br>{AXES[y]}: %{{y:.4g}}<extra></extra>",
        marker={
            "color": looks.colour(method),
            "symbol": looks.symbol(method) + ("-open" if look.get("open") else ""),
            "size": look["size"],
            "opacity": look["opacity"],
        },
    )


def hypervolume(study: Study) -> go.Figure | None:
    """Hypervolume of the frontier over what was spent, and of each method's own."""
    if not any(r.state == "complete" for r in study.rows):
        return None
    reference, looks = reference_of(study.rows, study.goals), Looks(study.rows)
    found = go.Figure()
    every = [("all methods", study.rows, "#777777", 3)] + [
        (
            f"{_plain(m)} alone",
            [r if r.method == m else r.model_copy(update={"state": "cached"}) for r in study.rows],
            looks.colour(m),
            1.5,
        )
        for m in looks.methods
    ]
    for name, rows, colour, width in every:
        curve = hypervolume_over_spend(rows, reference)
        line = {"shape": "hv", "color": colour, "width": width}
        found.add_scatter(x=[u for u, _ in curve], y=[v for _, v in curve], mode="lines", name=name, line=line)
    return _layout(found, "USD spent on trials", "hypervolume (share of the box)")


def cost(study: Study, hosting: str = "per_use") -> go.Figure | None:
    """USD a month of each option of the frontier against queries a month; break-even points as crosses."""
    if not study.raws:
        return None
    column = study.hosted(hosting)
    rivals = {t for b in column.break_even for t in (b.trial, b.other)} | {study.recommendation.baseline}
    raws = [r for r in study.raws if r.on_frontier or r.trial in rivals]
    looks, found = Looks(study.rows), go.Figure()
    curves = monthly_costs(raws, column.terms)
    for i, raw in enumerate(raws):
        volumes, usd = zip(*curves[raw.trial], strict=True)
        found.add_scatter(
            x=volumes,
            y=usd,
            mode="lines",
            name=f"{raw.trial} {_plain(raw.method)}",
            line={"color": looks.colour(raw.method), "dash": DASHES[i % len(DASHES)], "width": 2},
            hovertemplate="%{x:,.0f} queries: $%{y:.4g} a month<extra>" + f"{raw.trial} {_plain(raw.method)}</extra>",
        )
    _break_evens(found, column, curves)
    found.add_vline(x=float(column.terms.volumes[1]), line_dash="dash", line_color="#777777", annotation_text="task")
    _layout(found, "queries a month", "USD a month")
    return found.update_layout(
        xaxis={"type": "log", "exponentformat": "power"}, yaxis={"type": "log", "exponentformat": "power"}
    )


def _break_evens(found: go.Figure, column: Column, curves: Mapping[int, Sequence[tuple[float, float]]]) -> None:
    for pair in column.break_even:
        if not pair.volumes or pair.trial not in curves or pair.other not in curves:
            continue
        volume = float(pair.volumes[0])
        around = ""
        error = None
        if pair.low is not None and pair.high is not None:
            around = f" [{float(pair.low):,.0f} - {float(pair.high):,.0f}]"
            error = {
                "type": "data",
                "symmetric": False,
                "array": [float(pair.high) - volume],
                "arrayminus": [volume - float(pair.low)],
            }
        found.add_scatter(
            x=[volume],
            y=[_at(curves[pair.other], volume)],
            error_x=error,
            mode="markers",
            name=f"break-even {pair.trial} / {pair.other}",
            marker={"symbol": "x-thin", "size": 14, "line": {"width": 3, "color": "#b8860b"}},
            hovertemplate=f"from {volume:,.0f}{around} queries a month trial {pair.other} is cheaper than trial "
            f"{pair.trial}<extra></extra>",
        )


def _at(curve: Sequence[tuple[float, float]], volume: float) -> float:
    """USD at a volume, between neighbours by logarithms."""
    for (x0, y0), (x1, y1) in itertools.pairwise(curve):
        if x0 <= volume <= x1:
            part = math.log(volume / x0) / math.log(x1 / x0)
            return math.exp(math.log(max(y0, 1e-12)) * (1 - part) + math.log(max(y1, 1e-12)) * part)
    return curve[-1][1]


def latency(study: Study) -> go.Figure | None:
    """How long requests took: single ones, and under load at the busiest rate the task expects."""
    found, looks = go.Figure(), Looks(study.rows)
    for option in study.options:
        raw = study.raw(option.trial)
        name = f"{option.trial} {_plain(option.method)}"
        colour = looks.colour(option.method)
        single = study.latency_ms(option.trial)
        if single:
            found.add_box(y=single, name=f"{name}<br>alone", marker_color=colour, boxpoints="outliers", line_width=1)
        if raw is not None and raw.load is not None and raw.load.runs:
            run = raw.load.runs[0]
            title = f"{name}<br>{run.rate:.3g}/s"
            found.add_box(
                y=run.e2el_ms, name=title, marker_color=colour, boxpoints="outliers", fillcolor="rgba(0,0,0,0)"
            )
    if not found.data:
        return None
    promise = study.task.constraints.latency_p95_ms
    if promise is not None:
        found.add_hline(y=promise, line_dash="dash", line_color="#b00020", annotation_text=f"promise {promise:g} ms")
    _layout(found, "option, alone and under load", "ms per request")
    return found.update_layout(showlegend=False, yaxis={"type": "log"})


def parameters(study: Study, method: str | None = None) -> go.Figure | None:
    """Parallel coordinates: one line per trial through its parameters to quality, cost and latency."""
    looks = Looks(study.rows)
    if method is None:
        method = max(looks.methods, key=lambda m: sum(r.method == m for r in study.rows), default=None)
    rows = [r for r in study.rows if r.method == method and r.quality is not None]
    rows = sorted(rows, key=lambda r: r.quality or 0)[-MOST_LINES:]
    if len(rows) < 2:
        return None
    names = list(dict.fromkeys(n for r in rows for n in r.params))
    axes = [_Axis(n, [r.params.get(n) for r in rows]) for n in names]
    axes = [a for a in axes if a.varies]
    axes += [
        _Axis(title, [getattr(r, n) for r in rows])
        for n, title in zip(AXES, ("quality", "$ per 1k", "ms"), strict=True)
    ]
    found = go.Figure()
    size = math.ceil(len(rows) / len(QUALITY_BANDS))
    for band, colour in enumerate(QUALITY_BANDS):
        part = range(band * size, min(len(rows), (band + 1) * size))
        if not part:
            continue
        x: list[float | None] = []
        y: list[float | None] = []
        text: list[str | None] = []
        for i in part:
            x += [*range(len(axes)), None]
            y += [*(None if (p := a.places[i]) is None else round(p, 4) for a in axes), None]
            text += [f"trial {rows[i].trial}"] * len(axes) + [None]
        low, high = rows[part[0]].quality or 0, rows[part[-1]].quality or 0
        line = {"color": colour, "width": 1.5}
        name = f"quality {low:.3f} to {high:.3f}"
        found.add_scatter(x=x, y=y, text=text, mode="lines", line=line, opacity=0.7, name=name, hoverinfo="text")
    for i, axis in enumerate(axes):
        for place, label in axis.ticks:
            found.add_annotation(x=i, y=place, text=_plain(label), showarrow=False, xanchor="left", font_size=11)
    _layout(found, "", "")
    ticks = {
        "tickvals": list(range(len(axes))),
        "ticktext": [_plain(a.name) for a in axes],
        "range": [-0.2, len(axes) - 0.3],
    }
    return found.update_layout(
        xaxis={**ticks, "showgrid": True, "zeroline": False}, yaxis={"visible": False, "range": [-0.05, 1.08]}
    )


class _Axis:
    """One axis of parallel coordinates: values to places between 0 and 1, and what is written beside it."""

    def __init__(self, name: str, values: Sequence[Any]) -> None:
        self.name = name
        given = [v for v in values if v is not None]
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in given)
        self.varies = len(set(map(str, values))) > 1
        if numbers and given:
            low, high = min(given), max(given)
            log = low > 0 and high / low > 10

            def scale(v: float) -> float:
                return math.log(v) if log else float(v)

            span = scale(high) - scale(low) or 1.0
            self.places: list[float | None] = [None if v is None else (scale(v) - scale(low)) / span for v in values]
            self.ticks = [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")] if high > low else [(0.0, f"{low:.3g}")]
            return
        kinds = sorted({str(v) for v in given})
        at = {k: i / max(1, len(kinds) - 1) for i, k in enumerate(kinds)}
        self.places = [None if v is None else at[str(v)] for v in values]
        self.ticks = [(place, k[:24]) for k, place in at.items()]


def learning(study: Study) -> go.Figure | None:
    """Test quality against training rows, with what more rows would probably bring."""
    curve = study.verdict.curve if study.verdict is not None else None
    if curve is None:
        return None
    ahead, found = curve.forecast, go.Figure()
    rows = [p.rows for p in ahead]
    band = {"x": [*rows, *rows[::-1]], "y": [*(p.high for p in ahead), *(p.low for p in reversed(ahead))]}
    found.add_scatter(
        **band, fill="toself", fillcolor="rgba(0,114,178,0.18)", line_width=0, name="95 % band", hoverinfo="skip"
    )
    found.add_scatter(x=rows, y=[p.quality for p in ahead], mode="lines", name="power law", line={"color": "#0072B2"})
    error = {
        "type": "data",
        "symmetric": False,
        "array": [p.high - p.quality for p in curve.points],
        "arrayminus": [p.quality - p.low for p in curve.points],
    }
    found.add_scatter(
        x=[p.rows for p in curve.points],
        y=[p.quality for p in curve.points],
        error_y=error,
        mode="markers",
        marker={"size": 10, "color": "#D55E00"},
        name=f"trial {curve.trial} trained on so many rows",
    )
    found.add_vline(x=curve.points[-1].rows, line_dash="dash", line_color="#777777", annotation_text="rows there are")
    return _layout(found, "training rows", "test quality")


def loss(study: Study) -> go.Figure | None:
    """Training loss of the tuned options of the frontier, by tenth of the steps."""
    looks, found = Looks(study.rows), go.Figure()
    for row in study.rows:
        if row.on_frontier and row.train_loss:
            steps = [row.train_steps * (i + 1) / len(row.train_loss) for i in range(len(row.train_loss))]
            name = f"{row.trial} {_plain(row.method)}"
            line = {"color": looks.colour(row.method), "dash": DASHES[len(found.data) % len(DASHES)]}
            found.add_scatter(x=steps, y=row.train_loss, mode="lines+markers", name=name, line=line)
    return _layout(found, "training steps", "mean loss") if found.data else None


def importance(study: Study, method: str | None = None) -> go.Figure | None:
    """How much each parameter moved quality, cost and latency within a method."""
    kept = [i for i in study.importances() if method is None or i.method == method]
    if not kept:
        return None
    several = len({i.method for i in kept}) > 1
    found = go.Figure()
    for n, objective in enumerate(AXES):
        own = [i for i in kept if i.objective == objective]
        found.add_bar(
            x=[i.share for i in own],
            y=[_plain(f"{i.method}: {i.parameter}" if several else i.parameter) for i in own],
            orientation="h",
            name=objective,
            marker_color=COLOURS[n],
        )
    _layout(found, "share of explained variance (fANOVA)", "")
    return found.update_layout(barmode="group", yaxis={"automargin": True, "autorange": "reversed"})


def verdict_on(pair: Compared) -> str:
    """Tied, worse or better than the best option."""
    return "tied" if pair.tied else "worse" if pair.difference < 0 else "better"


def differences(study: Study) -> go.Figure | None:
    """Every option beside the best one on the same test rows, with 95 % intervals; ties cross zero."""
    verdict: Verdict | None = study.verdict
    if verdict is None or not verdict.compared:
        return None
    raws: dict[int, RawOption] = {r.trial: r for r in study.raws}
    looks, found = Looks(study.rows), go.Figure()
    for pair in sorted(verdict.compared, key=lambda c: -c.difference):
        method = raws[pair.trial].method if pair.trial in raws else "?"
        found.add_scatter(
            x=[100 * pair.difference],
            y=[f"trial {pair.trial} ({_plain(method)})"],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [100 * (pair.high - pair.difference)],
                "arrayminus": [100 * (pair.difference - pair.low)],
            },
            mode="markers",
            marker={"size": 11, "color": looks.colour(method), "symbol": "circle-open" if pair.tied else "circle"},
            showlegend=False,
            hovertemplate=f"%{{x:+.1f}} points [{100 * pair.low:+.1f}, {100 * pair.high:+.1f}], p {pair.p_holm:.3f} "
            f"after Holm's correction: {verdict_on(pair)}<extra></extra>",
        )
    found.add_vline(x=0, line_color="#777777")
    _layout(found, f"points of quality beside trial {verdict.best} on {verdict.compared[0].rows} test rows", "")
    return found.update_layout(yaxis={"automargin": True, "autorange": "reversed"})
