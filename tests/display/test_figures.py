"""Figures and report of a made-up study, without a browser."""

import re
from pathlib import Path

import pytest
from made_up import FAILED, HARM, MadeUp

from autoadapt.display.figures import figure, kinds
from autoadapt.display.figures._style import axis
from autoadapt.display.goals import pairs
from autoadapt.display.method_style import GREY, MethodStyle
from autoadapt.display.paper import draw, staircase
from autoadapt.display.report.page import render, write_report
from autoadapt.errors import UserError

STUDY = MadeUp()


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_is_drawn_without_markup_of_users(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoadapt.display.figures.parameters.FEWEST_LINES", 2)
    drawn = figure(STUDY, kind)  # type: ignore[arg-type]
    assert drawn.data
    assert "<b>harm" not in drawn.to_json()
    assert "\\u003cb\\u003eharm" not in drawn.to_json()


def test_frontier_is_drawn_for_every_pair_of_objectives() -> None:
    names = [(x.name, y.name) for x, y in pairs(STUDY)]  # type: ignore[arg-type]
    assert names[:2] == [("cost_usd_per_1k", "quality"), ("latency_ms", "quality")]
    assert len(names) == 6
    for x, y in names:
        layout = figure(STUDY, "frontier", x=x, y=y).layout  # type: ignore[arg-type]
        # three values within a factor of three: nothing crowds on a linear axis
        assert layout.xaxis.type == layout.yaxis.type == "linear"
        assert {note.name for note in layout.annotations} == {"0", "1", "2"}, "every option is named where it stands"


def test_unknown_kinds_and_objectives_name_the_nearest() -> None:
    with pytest.raises(UserError, match="frontier"):
        figure(STUDY, "fronteir")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="latency_ms"):
        figure(STUDY, "frontier", x="latncy_ms")  # type: ignore[arg-type]


def test_a_figure_without_data_is_an_error() -> None:
    empty = MadeUp()
    empty.rows = [FAILED]
    with pytest.raises(UserError, match="nothing to draw for 'frontier' yet"):
        figure(empty, "frontier")  # type: ignore[arg-type]


def test_methods_are_styled_in_the_order_of_the_task() -> None:
    style = MethodStyle(["full", "lora", "prompt"], ["prompt", "lora", "other"])
    assert style.methods == ["lora", "prompt", "other"]
    assert style.colour("full") == GREY


def test_the_report_holds_everything_as_text(tmp_path: Path) -> None:
    page = render(STUDY)  # type: ignore[arg-type]
    body = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "<b>harm" not in body
    assert "\u202e" not in page
    assert "peak memory in MB" in body
    assert "it is probably too high by 2.0 points [3.0 too low to 7.0 too high]" in body
    assert all(f'data-figure="frontier-{i}"' in body for i in range(6))
    assert "nan in fit:" in page
    assert write_report(STUDY, tmp_path / "report.html").read_text(encoding="utf-8") == page  # type: ignore[arg-type]


def test_a_report_without_verdict_and_recommendation_is_written() -> None:
    early = MadeUp()
    early.verdict = None  # type: ignore[assignment]
    advice = early.recommendation.model_copy(update={"trial": None, "reason": "No option satisfies the constraints."})
    early.recommendation = advice
    page = render(early)  # type: ignore[arg-type]
    assert "The search has not ended yet." in page
    assert 'id="lead">No option satisfies the constraints.' in page


def test_the_words_of_the_report_are_plain() -> None:
    page = re.sub(r"<script.*?</script>", "", render(STUDY), flags=re.DOTALL)  # type: ignore[arg-type]
    for word in ("promise", "twin", "beaten", "flatter", "too small", "staircase", HARM):
        assert word not in page


def test_a_staircase_keeps_what_improves_quality() -> None:
    assert staircase([(3.0, 0.9), (1.0, 0.5), (2.0, 0.4)]) == ([1.0, 3.0], [0.5, 0.9])


def test_paper_figures_refuse_unknown_formats(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown format"):
        draw([], tmp_path / "figure.gif")


def test_values_that_hardly_differ_are_not_told_apart_by_an_axis() -> None:
    low, high = axis([11.386, 11.386 + 1e-8])["range"]
    assert low < 11.3
    assert high > 11.5
