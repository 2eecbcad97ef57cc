"""What a finished study answers from the command line and from Python: comparisons, recommendations, mistakes."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeTask, autoadapt

from autoadapt import Study
from autoadapt.domain.task import Task
from autoadapt.errors import UserError
from autoadapt.runs.study import scenario_of

sys.path.insert(0, str(Path(__file__).parents[1] / "verdict"))
from test_scenarios import STUDY


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The run folder of a made-up study of three options."""
    task = Task.model_validate(
        {
            "name": "made-up",
            "data": {"path": "data.csv"},
            "metric": "accuracy",
            "models": ["m"],
            "budget": {"trials": 3},
            "economics": {"usd_per_hour": 3.6, "horizon_months": 10},
        }
    )
    root = tmp_path / "made-up"
    root.mkdir()
    (root / "task.lock.yaml").write_text(json.dumps({"task": task.model_dump(mode="json"), "price_source": "the task"}))
    (root / "summary.json").write_text(json.dumps({"spent": {"usd": 12.0}}))
    (root / "measured.json").write_text(json.dumps([json.loads(o.model_dump_json()) for o in STUDY]))
    return root


def test_scenarios_side_by_side(run: Path, tmp_path: Path) -> None:
    (tmp_path / "scenarios.yaml").write_text(
        "scenarios:\n"
        "  small: {volume: 1000, hosting: scale_to_zero, cold_s: 20}\n"
        "  large: {volume: [1e6, 2e7, 1e8], price: runpod/h100-sxm-80gb/secure, p95: 400, api: [gpt-5-nano]}\n"
    )
    told = autoadapt("compare", run, tmp_path / "scenarios.yaml", "--scenario", "name==mine,volume=5000/10000/20000")
    assert told.returncode == 0, told.stderr
    for part in ("small", "large", "=mine", "of 27", "break-even", "gpt-5-nano", "only a run on that device"):
        assert part in " ".join(told.stdout.split()), part
    data = json.loads(autoadapt("compare", run, tmp_path / "scenarios.yaml", "--json").stdout)
    assert [c["terms"]["name"] for c in data] == ["small", "large"]
    rows = list(csv.DictReader(io.StringIO(autoadapt("compare", run, "--scenario", "name==mine", "--csv").stdout)))
    assert len(rows) == 3
    assert {row["scenario"] for row in rows} == {"'=mine"}, "a spreadsheet does not run it"


def test_python_gives_what_the_command_line_gives(run: Path) -> None:
    study = Study.load(run)
    column = study.compare({"s": {"volume": 1_000_000}})[0]
    told = json.loads(autoadapt("compare", run, "--scenario", "name=s,volume=1000000", "--json").stdout)[0]
    assert json.loads(column.model_dump_json()) == told
    assert column.recommended == 2


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("volum=5", "unknown key; did you mean 'volume'"),
        ("volume=0", "must be greater than 0"),
        ("volume=9/5/7", "must rise"),
        ("volume=many", "volume"),
        ("price=h100", "not guessed"),
        ("hosting=cloud", "'per_use', 'always_on', 'scale_to_zero' or 'shared'"),
        ("latency_p95_ms=-3", "greater than 0"),
        ("api=nonsense-9", "not guessed"),
        ("volume", "key=value"),
        ("latency_p95_ms=.nan", "latency_p95_ms"),
    ],
)
def test_a_wrong_scenario_is_one_message(run: Path, written: str, said: str) -> None:
    with pytest.raises(UserError) as raised:
        Study.load(run).compare(dict([scenario_of(written)]))
    assert said in str(raised.value)
    assert raised.value.code == 2


def test_a_wrong_scenarios_file_names_the_line(run: Path, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("scenarios:\n  a:\n    volume: 5\n    hostin: always_on\n")
    told = autoadapt("compare", run, tmp_path / "s.yaml")
    assert told.returncode == 2
    assert "line 4, scenarios.a.hostin: unknown key; did you mean 'hosting'" in told.stderr
    assert "Traceback" not in told.stderr


def test_nothing_to_compare_and_nothing_to_compare_with(run: Path, tmp_path: Path) -> None:
    assert "give a scenarios file" in autoadapt("compare", run).stderr
    missing = autoadapt("compare", tmp_path / "made-ip", "--scenario", "volume=5")
    assert missing.returncode == 2
    assert "no finished study" in missing.stderr
    assert "made-up" in missing.stderr
    (run / "measured.json").write_text("[]")
    assert autoadapt("compare", run, "--scenario", "volume=5").returncode == 6
    (run / "measured.json").write_text('[{"trial": 1}]')
    assert "another version" in autoadapt("compare", run, "--scenario", "volume=5").stderr
    (run / "measured.json").write_text("[{")
    assert autoadapt("compare", run, "--scenario", "volume=5").returncode == 8


def test_another_recommendation_says_what_binds(run: Path) -> None:
    told = autoadapt("recommend", run, "--max-train-usd", 5)
    assert told.returncode == 0, told.stderr
    assert "Trial 1 (lora)" in " ".join(told.stdout.split())
    assert "Binding: without training_usd" in told.stdout
    free: Any = json.loads(autoadapt("recommend", run, "--json").stdout)
    assert (free["recommendation"]["trial"], free["binding"]) == (2, [])
    nothing = autoadapt("recommend", run, "--min-quality", 0.99)
    assert nothing.returncode == 5
    assert "quality" in nothing.stdout
    by_weight = json.loads(autoadapt("recommend", run, "--weights", "cost=1", "--json").stdout)
    assert by_weight["recommendation"]["trial"] == 0
    for wrong in ("speed=1", "quality=a", "quality=0", "quality=-1,cost=2"):
        assert autoadapt("recommend", run, "--weights", wrong).returncode == 2
    assert autoadapt("recommend", run, "--min-quality", 2).returncode == 2


def test_prices_are_listed() -> None:
    told = autoadapt("prices", "h200")
    assert "akash/h200-141gb/on-demand" in told.stdout
    assert "2026-09-20" in told.stdout
    assert autoadapt("prices", "no-such-chip").returncode == 2
    assert json.loads(autoadapt("prices", "--token", "gpt-5-nano", "--json").stdout)[0]["model"] == "gpt-5-nano"


def test_a_task_may_name_its_price(make_task: MakeTask) -> None:
    shown = autoadapt("check", make_task(economics={"price": "runpod/a100-sxm-80gb/secure"}), "--show").stdout
    assert "usd_per_hour: 1.79" in shown
    unknown = autoadapt("check", make_task(economics={"price": "runpod/a100-sxm-80gb/secur"}))
    assert unknown.returncode == 2
    assert "line 7, economics.price" in unknown.stderr
    assert "such names are runpod/a100-sxm-80gb/secure." in unknown.stderr
    none = autoadapt("check", make_task(economics={"horizon_months": 3}))
    assert "economics: give one price of a device-hour (found: none)" in none.stderr
