"""The figure of a comparison: what stands where, with which errors, in which formats."""

import builtins
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from made_up import HARM, MadeUp

from autoadapt.display.comparison_figure import draw
from autoadapt.display.comparison_marks import panels
from autoadapt.domain.comparison import Column
from autoadapt.errors import UserError

STUDY = MadeUp()


def column(**changes: Any) -> Column:
    """A scenario in which trial 2 was not scored on test rows."""
    found = STUDY.hosted("per_use")
    options = [
        o.model_copy(update={"cost_error": 0.1, **({"test_quality": None} if o.trial == 2 else {})})
        for o in found.options
    ]
    return found.model_copy(update={"options": options, **changes})


def test_options_stand_where_the_tables_say_with_the_errors_of_their_measurement() -> None:
    one = column()
    (panel,) = panels([one], STUDY.goals, "cost_usd_per_1k", "quality")
    marks, priced = {m.trial: m for m in panel.marks}, {p.trial: p for p in one.priced}
    assert {t for t, m in marks.items() if m.recommended} == {one.recommended}
    for option in one.options:
        mark, bill = marks[option.trial], priced[option.trial]
        low, high = option.test_quality_ci if option.trial != 2 else option.quality_ci  # type: ignore[misc]
        assert (mark.y.value, mark.y.low, mark.y.high) == (option.best_known_quality[0], low, high)
        assert (mark.on_frontier, mark.tested) == (option.on_frontier, option.trial != 2)
        assert mark.x.value == float(bill.usd_per_month)
        # 1.96 standard errors of a tenth, on a logarithmic scale, of what answering costs; training is known
        assert mark.x.high - mark.x.value == pytest.approx(float(bill.serving_usd_per_month) * (math.exp(0.196) - 1))
        assert mark.x.value - mark.x.low == pytest.approx(float(bill.serving_usd_per_month) * (1 - math.exp(-0.196)))


def test_line_joins_what_nothing_beats_in_the_two_axes() -> None:
    (panel,) = panels([column()], STUDY.goals, "latency_ms", "quality")
    places = [(m.x.value, m.y.value) for m in panel.marks if m.on_frontier]
    beaten = [p for p in places if any(o != p and o[0] <= p[0] and o[1] >= p[1] for o in places)]
    assert panel.frontier == sorted({*places} - {*beaten})
    (other,) = panels([column()], STUDY.goals, "latency_ms", "memory_mb")
    assert other.y.title == "peak memory in MB"


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [("latncy_ms", "quality", "did you mean 'latency_ms'"), ("quality", "quality", "choose two different ones")],
)
def test_axis_that_cannot_be_drawn(x: str, y: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        panels([column()], STUDY.goals, x, y)


def test_page_needs_no_network_and_shows_names_as_text(tmp_path: Path) -> None:
    terms = STUDY.hosted("per_use").terms.model_copy(update={"name": HARM})
    draw([column(terms=terms), column()], STUDY.goals, tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert not re.search(r"<script[^>]+src=", text)
    assert HARM not in text
    assert "</script><b>" not in text
    drawn = re.search(r"Plotly\.newPlot\(\s*\"[^\"]+\",\s*(\[.*?\]),\s*\{\"", text, re.DOTALL)
    assert drawn is not None
    bars = [trace for trace in json.loads(drawn[1]) if "error_y" in trace]
    assert len(bars) == 2 * sum(o.on_frontier for o in column().options)


def test_pictures_need_no_browser(tmp_path: Path) -> None:
    for suffix, begins in ((".svg", b"<?xml"), (".png", b"\x89PNG"), (".PDF", b"%PDF")):
        draw([column(), column()], STUDY.goals, tmp_path / f"a{suffix}", "latency_ms")
        assert (tmp_path / f"a{suffix}").read_bytes().startswith(begins)
    texts = " ".join(ElementTree.parse(tmp_path / "a.svg").getroot().itertext())
    assert "95 % of answers within, in ms" in texts
    assert "LoRA on" in texts


def test_missing_package_and_unknown_format_are_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"must end in \.html, \.png, \.svg, \.pdf"):
        draw([column()], STUDY.goals, tmp_path / "a.gif")
    true_import = builtins.__import__

    def without_matplotlib(name: str, *arguments: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return true_import(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(UserError, match=r"figures in \.svg need a package: pip install 'autoadapt\[research\]'"):
        draw([column()], STUDY.goals, tmp_path / "a.svg")
    draw([column()], STUDY.goals, tmp_path / "a.html")


def test_file_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    for name in ("a.html", "a.png"):
        with pytest.raises(UserError, match="cannot be written"):
            draw([column()], STUDY.goals, tmp_path / "none" / "there" / name)
