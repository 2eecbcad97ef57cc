"""What a finished study answers from the command line and from Python: comparisons, recommendations, mistakes."""

import csv
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autoadapt import Study
from autoadapt.cli.main import main
from autoadapt.domain.option import Recommendation, Spent
from autoadapt.domain.task import Task
from autoadapt.errors import UserError
from autoadapt.runs.results import Results, write_results
from autoadapt.runs.scenarios import scenario_of

sys.path.insert(0, str(Path(__file__).parents[1] / "verdict"))
from test_scenarios import STUDY


@dataclass
class Said:
    """What a command printed, and how it ended."""

    code: int
    stdout: str
    stderr: str


Command = Callable[..., Said]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command line in this process."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["autoadapt", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Said(int(ended.value.code or 0), captured.out, captured.err)

    return run


def results(measured: list[Any]) -> Results:
    advice = Recommendation(
        scenario="task",
        trial=None,
        reason="nothing was advised",
        meets_constraints=False,
        **dict.fromkeys(("best_quality", "cheapest", "fastest", "baseline")),
    )
    return Results(options=[], measured=measured, recommendation=advice, spent=Spent(usd=12.0))


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
    write_results(root, results(list(STUDY)))
    return root


SCENARIOS = """\
scenarios:
  small: {volume: 1000, hosting: scale_to_zero, cold_s: 20}
  large: {volume: [1e6, 2e7, 1e8], price: runpod/h100-sxm-80gb/secure, latency_p95_ms: 400, api: [gpt-5-nano]}
"""


# -- compare


def test_comparison_of_scenarios(run: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "scenarios.yaml").write_text(SCENARIOS)
    said = command("compare", run, tmp_path / "scenarios.yaml", "--scenario", "name==mine,volume=5000/10000/20000")
    assert said.code == 0, said.stderr
    for part in ("small", "large", "=mine", "of 9", "break-even", "gpt-5-nano", "only a run on that device"):
        assert part in " ".join(said.stdout.split()), part


def test_comparison_as_json(run: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "scenarios.yaml").write_text(SCENARIOS)
    data = json.loads(command("compare", run, tmp_path / "scenarios.yaml", "--json").stdout)
    assert [c["terms"]["name"] for c in data] == ["small", "large"]


def test_comparison_as_csv_quotes_formulas(run: Path, command: Command) -> None:
    rows = list(csv.DictReader(io.StringIO(command("compare", run, "--scenario", "name==mine", "--csv").stdout)))
    assert len(rows) == 3
    assert {row["scenario"] for row in rows} == {"'=mine"}


def test_figure_of_a_comparison(run: Path, tmp_path: Path, command: Command) -> None:
    file = tmp_path / "figure.html"
    said = command("compare", run, "--scenario", "volume=10k", "--figure", file, "--x", "latency")
    assert (said.code, said.stdout.splitlines()[-1]) == (0, f"wrote {file}")
    assert "95 % of answers within, in ms" in file.read_text()
    json.loads(command("compare", run, "--scenario", "volume=10k", "--figure", file, "--json").stdout)
    assert "dollars a month, for 10,000 queries" in file.read_text()
    assert command("compare", run, "--scenario", "volume=10k", "--figure", tmp_path / "figure.gif").code == 2


def test_comparison_in_python_equals_the_command_line(run: Path, command: Command) -> None:
    column = Study.load(run).compare({"s": {"volume": 1_000_000}})[0]
    printed = json.loads(command("compare", run, "--scenario", "name=s,volume=1000000", "--json").stdout)[0]
    assert json.loads(column.model_dump_json()) == printed
    assert column.recommended == 2


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("volum=5", "unknown key; did you mean 'volume'"),
        ("volume=0", "volume: must be greater than 0"),
        ("volume=-1", "volume: must be greater than 0"),
        ("volume=0/5/9", "volume: must be greater than 0"),
        ("output=-1", "output: must be greater than 0"),
        ("volume=9/5/7", "must rise"),
        ("volume=many", "volume"),
        ("price=h100", "not guessed"),
        ("hosting=cloud", "'per_use', 'always_on', 'scale_to_zero' or 'shared'"),
        ("latency_p95_ms=-3", "greater than 0"),
        ("p95=400", "this key is called 'latency_p95_ms' now"),
        ("api=nonsense-9", "not guessed"),
        ("volume", "key=value"),
        ("latency_p95_ms=.nan", "latency_p95_ms"),
    ],
)
def test_invalid_scenario_error(run: Path, written: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        Study.load(run).compare(dict([scenario_of(written)]))
    assert expected in str(caught.value)
    assert caught.value.code == 2


def test_invalid_scenarios_file_error_names_the_line(run: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "s.yaml").write_text("scenarios:\n  a:\n    volume: 5\n    hostin: always_on\n")
    said = command("compare", run, tmp_path / "s.yaml")
    assert said.code == 2
    assert "line 4, scenarios.a.hostin: unknown key; did you mean 'hosting'" in said.stderr
    assert "Traceback" not in said.stderr


def test_comparison_without_scenarios_error(run: Path, command: Command) -> None:
    assert "give a scenarios file" in command("compare", run).stderr


def test_missing_study_error_names_studies_beside_it(run: Path, command: Command) -> None:
    said = command("compare", run.with_name("made-ip"), "--scenario", "volume=5")
    assert said.code == 2
    assert "there is no study" in said.stderr
    assert "made-up" in said.stderr


def test_comparison_without_measured_options_error(run: Path, command: Command) -> None:
    write_results(run, results([]))
    assert command("compare", run, "--scenario", "volume=5").code == 6


@pytest.mark.parametrize("content", ['{"version": 1, "measured": [{"trial": 1}]}', "[{", '{"version": 7}'])
def test_damaged_or_old_results_error(run: Path, command: Command, content: str) -> None:
    (run / "results.json").write_text(content)
    said = command("compare", run, "--scenario", "volume=5")
    assert said.code == 8
    assert "another version of AutoAdapt, or damaged" in said.stderr


# -- recommend


def test_recommendation_under_a_limit_names_what_binds(run: Path, command: Command) -> None:
    said = command("recommend", run, "--training-usd", 5)
    assert said.code == 0, said.stderr
    assert "Trial 1 (lora)" in " ".join(said.stdout.split())
    assert "Binding: without training_usd" in said.stdout


def test_recommendation_as_json(run: Path, command: Command) -> None:
    free = json.loads(command("recommend", run, "--json").stdout)
    assert (free["recommendation"]["trial"], free["binding"]) == (2, [])


def test_no_option_fits_exit_code(run: Path, command: Command) -> None:
    said = command("recommend", run, "--quality", 0.99)
    assert said.code == 5
    assert "quality" in said.stdout


def test_recommendation_by_weights(run: Path, command: Command) -> None:
    payload = json.loads(command("recommend", run, "--weights", "cost=1", "--json").stdout)
    assert payload["recommendation"]["trial"] == 0


@pytest.mark.parametrize("weights", ["speed=1", "quality=a", "quality=0", "quality=-1,cost=2"])
def test_invalid_weights_exit_code(run: Path, command: Command, weights: str) -> None:
    assert command("recommend", run, "--weights", weights).code == 2


def test_limit_out_of_range_exit_code(run: Path, command: Command) -> None:
    assert command("recommend", run, "--quality", 2).code == 2


# -- prices


def test_listed_prices(command: Command) -> None:
    said = command("prices", "h200")
    assert "akash/h200-141gb/on-demand" in said.stdout
    assert "2026-09-20" in said.stdout
    assert command("prices", "no-such-chip").code == 2
    assert json.loads(command("prices", "--token", "gpt-5-nano", "--json").stdout)[0]["model"] == "gpt-5-nano"
