"""The what-if panel computes in Chromium what `compare` computes in Python: 200 random settings of a real search."""

import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_up import RAWS, TASK

from autoadapt import Study
from autoadapt.display.report import what_if as panel
from autoadapt.display.report.what_if import panel_options, panel_terms, what_if
from autoadapt.domain.load import Batch, Load
from autoadapt.domain.objective import DEFAULT_GOALS
from autoadapt.domain.option import RawOption
from autoadapt.domain.scenario import Scenario
from autoadapt.domain.usage import Usage
from autoadapt.economics.batching import BatchTimes
from autoadapt.economics.pricer import Pricer, loaded_share
from autoadapt.economics.queueing import scaled
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


def load_tested(trial: int, count: int, slow: int, sizes: tuple[int, ...], **changes: Any) -> RawOption:
    """An option of 10 ms alone, and a load test of so many single requests and of batches of these sizes."""
    seconds = [*[0.010 + 0.00005 * i for i in range(count - slow)], *[0.2] * slow]
    batches = [Batch(rows=1, seconds=s) for s in seconds]
    batches += [Batch(rows=n, seconds=0.010 + 0.0005 * n) for n in sizes for _ in range(5)]
    load = Load(runs=BatchTimes(batches).rough_runs(), batches=batches, engine="e", hardware="x", clock="simulated")
    fields = {"latency_p50_ms": 10.0, "latency_p95_ms": 12.0, "answering": Usage(device_seconds={"x": 0.07})}
    return RAWS[1].model_copy(update={**fields, "trial": trial, "load": load, **changes})


def test_the_page_prices_short_load_tests_as_python_does(browser: Any) -> None:
    """Of too few single requests, without full batches, shared, and none at all."""
    whole = load_tested(0, 70, 0, (8, 64))
    assert whole.load is not None
    raws = [
        whole,
        load_tested(1, 57, 4, (8, 64)),
        load_tested(2, 60, 0, ()),
        load_tested(3, 40, 2, (8,)),
        load_tested(4, 70, 0, (), load=None),
        load_tested(5, 70, 0, (), load=scaled(whole.load, 1.3, of_trial=0)),
        load_tested(6, 40, 0, (8, 64), latency_p95_ms=None),
    ]
    own = SimpleNamespace(weighed=raws)
    study: Any = SimpleNamespace(task=TASK, results=own, goals=DEFAULT_GOALS, verdict=None, root="run")
    numbers = what_if(study, {})
    assert numbers is not None
    asked, drawn = [], random.Random(3)
    for _ in range(40):
        latency = drawn.choice([None, round(10 ** drawn.uniform(0.8, 2.5), 2)])
        volume = round(10 ** drawn.uniform(3, 10))
        asked.append({"volume": volume, "price": 1.0, "hosting": "always_on", "latency": latency, "points": 1.0})
    page = browser.new_page()
    page.add_script_tag(path=str(Path(panel.__file__).with_name("what_if.js")))
    compute = """([data, asked]) => asked.map(whatIf(data)).map(({ options }) =>
      options.map((o) => [o.trial, o.month, o.replicas, o.p95, o.within]))"""
    for each, rows in zip(asked, page.evaluate(compute, [numbers, asked]), strict=True):
        changed = {"latency_p95_ms": each["latency"]}
        task = TASK.model_copy(update={"constraints": TASK.constraints.model_copy(update=changed)})
        scenario = Scenario(volume=each["volume"], price=1.0, hosting="always_on", latency_p95_ms=each["latency"])
        found = terms("random", scenario, task, "the task", 0.0, None)[0]
        by_trial = {raw.trial: raw for raw in raws}
        share = loaded_share(panel_options(study, panel_terms(study)), found)
        for trial, month, replicas, p95, within in rows:
            expected = Pricer(by_trial[trial], found, share).price(found.cell())
            assert replicas == expected.replicas, (each, trial)
            assert month == pytest.approx(float(expected.usd_per_month), rel=1e-6), (each, trial)
            assert (p95 is None, within is None) == (expected.latency_p95_ms is None, expected.within_target is None)
            assert p95 is None or p95 == pytest.approx(expected.latency_p95_ms, rel=1e-3), (each, trial)
            assert within is None or within == pytest.approx(expected.within_target, abs=0.006), (each, trial)
    page.close()
