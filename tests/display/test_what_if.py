"""The what-if panel of the report, in a headless browser: it recommends and bills what `compare` does."""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoadapt import Study
from autoadapt.display.report.what_if import panel_options, panel_terms
from autoadapt.domain.scenario import Scenario
from autoadapt.domain.task import Advice
from autoadapt.tasks.prices import terms
from autoadapt.verdict.recommendation import Trade, recommend
from autoadapt.verdict.scenarios import options_under

BROWSER = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
SETTINGS = 200
ASKED = """settings => {
    const advise = whatIf(JSON.parse(document.getElementById("what-if-data").textContent));
    return settings.map(one => {
        const found = advise(one);
        return {chosen: found.chosen && found.chosen.trial, months: found.options.map(o => [o.trial, o.month, o.p95])};
    });
}"""


@pytest.fixture(scope="module")
def page(hostile_run: Path) -> Iterator[Any]:
    if BROWSER is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium here: .ci/run installs it")
        pytest.skip("no Chromium on PATH (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=[*flags, "--disable-component-update"])
        opened = browser.new_page(viewport={"width": 1400, "height": 900})
        opened.goto((hostile_run / "report.html").resolve().as_uri())
        yield opened
        browser.close()


def drawn(seed: int) -> list[dict[str, Any]]:
    """Random settings of the panel, over all orders of magnitude that its sliders have."""
    dice = random.Random(seed)
    return [
        {
            "volume": round(10 ** dice.uniform(2, 9)),
            "price": round(10 ** dice.uniform(-3, 2), 4),
            "hosting": dice.choice(["per_use", "always_on"]),
            "latency": None if dice.random() < 0.3 else round(10 ** dice.uniform(-1, 4), 2),
            "points": round(dice.uniform(0, 20), 1),
        }
        for _ in range(SETTINGS)
    ]


def by_python(study: Study, setting: dict[str, Any]) -> tuple[int | None, dict[int, float], dict[int, float | None]]:
    """The trial that is recommended, and what every option costs a month, with its p95."""
    limits = study.task.constraints.model_copy(update={"latency_p95_ms": setting["latency"]})
    advice = Advice(give_up_points=setting["points"], least_saving_usd=study.task.recommend.least_saving_usd)
    task = study.task.model_copy(update={"constraints": limits, "recommend": advice})
    scenario = Scenario.model_validate(
        {"volume": setting["volume"], "price": setting["price"], "hosting": setting["hosting"]}
    )
    scenario_terms = terms("panel", scenario, task, "the task", 0.0, None)[0]
    raws = panel_options(study, panel_terms(study))
    options = options_under(raws, scenario_terms, scenario_terms.cell(), study.goals)
    pairs = [] if study.verdict is None else study.verdict.paired
    advised = recommend(options, limits, None, pairs, Trade.of(scenario_terms))
    months = {o.trial: o.cost_usd_per_1k * setting["volume"] / 1000 for o in options}
    return advised.trial, months, {o.trial: o.latency_p95_ms for o in options}


def test_it_recommends_and_bills_what_python_does(page: Any, hostile_run: Path) -> None:
    study, settings = Study.load(hostile_run), drawn(0)
    answers = page.evaluate(ASKED, settings)
    for setting, answer in zip(settings, answers, strict=True):
        chosen, months, p95 = by_python(study, setting)
        assert answer["chosen"] == chosen, setting
        for trial, month, ms in answer["months"]:
            assert month == pytest.approx(months[trial], rel=1e-3), (setting, trial)
            assert (ms is None) == (p95[trial] is None)
            assert ms is None or ms == pytest.approx(p95[trial], rel=1e-2, abs=2e-3), (setting, trial)
    assert len({answer["chosen"] for answer in answers}) > 1, "settings that all recommend the same test nothing"


def test_a_change_of_volume_changes_the_bill_at_once(page: Any) -> None:
    before = page.inner_text("#w-bill")
    page.fill("#w-volume", "900000000")
    after = page.inner_text("#w-bill")
    assert before != after
    assert "900000000" in page.inner_text("#w-command")
    page.click("#w-reset")
    assert page.inner_text("#w-bill") == before


def test_a_limit_that_nothing_meets_recommends_nothing(page: Any) -> None:
    page.fill("#w-latency", "0.000001")
    assert "No option" in page.inner_text("#w-result")
    page.click("#w-reset")
