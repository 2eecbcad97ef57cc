"""Volumes as people write them, wherever one is given."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeTask, call
from pydantic import ValidationError

from autoadapt.domain.counts import HOW_TO_WRITE, count_in
from autoadapt.domain.scenario import Scenario, Scenarios
from autoadapt.domain.task import Economics
from autoadapt.errors import UserError
from autoadapt.runs.scenarios import scenario_of
from autoadapt.tasks.parsing import parse
from autoadapt.tasks.yaml_document import Document


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("10k", 10_000),
        ("2.5k", 2_500),
        ("5M", 5_000_000),
        ("5m", 5_000_000),
        ("1 B", 10**9),
        ("12", 12),
        (" 7k ", 7000),
    ],
)
def test_short_forms(text: str, number: int) -> None:
    assert count_in(text) == number
    volume = Scenario(volume=text).volume  # type: ignore[arg-type]
    assert volume is not None
    assert volume.likely == number
    assert Economics(usd_per_hour=Decimal(1), queries_per_month=text).queries_per_month == number  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["10kk", "k", "", "1,000", "-5k", "ten", "1e", "nan", "5T", "1/2"])
def test_a_wrong_one_says_what_to_type(text: str) -> None:
    assert count_in(text) is None
    with pytest.raises(ValidationError, match=HOW_TO_WRITE):
        Scenario(volume=text)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=HOW_TO_WRITE):
        Economics(usd_per_hour=Decimal(1), queries_per_month=text)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, 0.5, "0.5", True, float("nan"), float("inf"), [1], None])
def test_queries_a_month_are_whole_and_at_least_one(value: Any) -> None:
    with pytest.raises(ValidationError):
        Economics(usd_per_hour=Decimal(1), queries_per_month=value)


def test_scenarios_on_the_command_line() -> None:
    def spread(text: str) -> tuple[Any, Any, Any]:
        volume = scenario_of(text)[1].volume
        assert volume is not None
        return volume.low, volume.likely, volume.high

    assert spread("volume=10k,price=2.69") == (None, 10_000, None)
    assert spread("volume=1k/5k/0.02M") == (1_000, 5_000, 20_000)
    assert scenario_of("price=runpod/h100-sxm-80gb/secure")[1].price == "runpod/h100-sxm-80gb/secure"
    with pytest.raises(UserError, match=r"--scenario volume=10kk: volume: write .* such as 10000, 10k .* not '10kk'"):
        scenario_of("volume=10kk")
    with pytest.raises(UserError, match=r"'000' is no key=value; .* numbers without commas \(10000 or 10k\)"):
        scenario_of("volume=10,000")


def test_scenarios_file_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "scenarios.yaml"
    file.write_text("scenarios:\n  a:\n    volume: {low: 1k, likely: 5k, high: 2M}\n  b:\n    volume: 3k\n")
    volume = parse(Document(file), Scenarios).scenarios["a"].volume
    assert volume is not None
    assert (volume.low, volume.likely, volume.high) == (1_000, 5_000, 2_000_000)
    file.write_text("scenarios:\n  a:\n    volume: {likely: 5q}\n")
    with pytest.raises(UserError, match=r"line 3, scenarios\.a\.volume: write a number"):
        parse(Document(file), Scenarios)


def test_task_file_and_set(make_task: MakeTask) -> None:
    task = make_task(economics={"usd_per_hour": 1, "queries_per_month": "2.5k"})
    assert "queries_per_month: 2500\n" in call("check", task, "--show").stdout
    shown = call("check", task, "--show", "--set", "economics.queries_per_month=5M").stdout
    assert "queries_per_month: 5000000\n" in shown
    wrong = call("check", task, "--set", "economics.queries_per_month=5x")
    assert wrong.returncode == 2
    assert f"--set economics.queries_per_month: {HOW_TO_WRITE}, not '5x'" in wrong.stderr
