"""The what-if panel computes in Chromium what `compare` computes in Python: 200 random settings of a real search."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoadapt import Study
from autoadapt.display.report.what_if import panel_options, panel_terms
from autoadapt.domain.scenario import Scenario
from autoadapt.tasks.prices import terms
from autoadapt.verdict.recommendation import Trade, recommend
from autoadapt.verdict.scenarios import options_under

SETTINGS = 200
Advice = tuple[int | None, float | None]
"""Trial, and USD a month."""


@pytest.fixture(scope="module")
def page(browser: Any, hostile_run: Path) -> Iterator[Any]:
    page = browser.new_page()
    page.goto((hostile_run / "report.html").resolve().as_uri())
    yield page
    page.close()


def settings() -> list[dict[str, Any]]:
    drawn = random.Random(7)
    return [
        {
            "volume": round(10 ** drawn.uniform(2, 9)),
            "price": round(10 ** drawn.uniform(-2, 1), 3),
            "hosting": drawn.choice(["per_use", "always_on"]),
            "latency": drawn.choice([None, round(10 ** drawn.uniform(-0.5, 3), 2)]),
            "points": round(drawn.uniform(0, 60), 1),
        }
        for _ in range(SETTINGS)
    ]


def advice(study: Study, asked: dict[str, Any]) -> Advice:
    """What `compare` recommends, and its bill."""
    limits = study.task.constraints.model_copy(update={"latency_p95_ms": asked["latency"]})
    gives = study.task.recommend.model_copy(update={"give_up_points": asked["points"]})
    task = study.task.model_copy(update={"constraints": limits, "recommend": gives})
    scenario = Scenario(
        volume=asked["volume"], price=asked["price"], hosting=asked["hosting"], latency_p95_ms=asked["latency"]
    )
    own = terms("random", scenario, task, "the task", 0.0, None)[0]
    options = options_under(panel_options(study, panel_terms(study)), own, own.cell(), study.goals)
    pairs = study.verdict.paired if study.verdict is not None else []
    trial = recommend(options, own.constraints, None, pairs, Trade.of(own)).trial
    cost = next((o.cost_usd_per_1k for o in options if o.trial == trial), None)
    return trial, None if cost is None else cost * asked["volume"] / 1000


def test_the_page_recommends_what_python_recommends_for_the_same_dollars(page: Any, hostile_run: Path) -> None:
    asked, study = settings(), Study.load(hostile_run)
    compute = """asked => {
      const advise = whatIf(JSON.parse(document.getElementById("what-if-data").textContent));
      return asked.map(advise).map(({ chosen }) => (chosen ? [chosen.trial, chosen.month] : [null, null]));
    }"""
    computed = page.evaluate(compute, asked)
    expected = [advice(study, each) for each in asked]
    assert len({trial for trial, _ in expected}) > 1, "settings that change nothing would test nothing"
    for each, (trial, usd), shown in zip(asked, expected, computed, strict=True):
        assert shown[0] == trial, each
        assert usd is None or shown[1] == pytest.approx(usd, rel=1e-9), each


def test_controls_change_the_recommendation_and_the_bill_at_once(page: Any, hostile_run: Path) -> None:
    study = Study.load(hostile_run)
    economics = study.task.economics
    asked = {
        "volume": 250_000,
        "price": float(economics.usd_per_hour or 0),
        "hosting": "always_on",
        "latency": None,
        "points": 2.5,
    }
    page.fill("#w-volume", "250000")
    page.fill("#w-latency", "")
    page.fill("#w-points", "2.5")
    page.check('input[name="hosting"][value="always_on"]')
    trial, usd = advice(study, asked)
    page.wait_for_function("t => document.getElementById('what-if').dataset.trial === t", arg=str(trial))
    assert float(page.get_attribute("#what-if", "data-usd")) == pytest.approx(usd)
    assert "volume=250000" in page.inner_text("#w-command")
    page.click("#w-reset")
    assert page.input_value("#w-volume") == str(economics.queries_per_month)
