"""A load test that options of one serving class share: written once, read as if each had its own."""

import json
import sys
from pathlib import Path

from autoadapt.domain.load import Batch, Load
from autoadapt.domain.option import Recommendation, Spent
from autoadapt.economics.batching import BatchTimes
from autoadapt.economics.queueing import scaled
from autoadapt.runs.results import RESULTS_FILE, Results, read_results, write_results

sys.path.insert(0, str(Path(__file__).parents[1] / "verdict"))
from test_scenarios import raw

BATCHES = [*[Batch(rows=1, seconds=0.02)] * 60, Batch(rows=64, seconds=0.4)]
LOAD = Load(runs=BatchTimes(BATCHES).runs(1.0), batches=BATCHES, engine="e", hardware="x", clock="simulated")
ADVICE = Recommendation(
    scenario="task",
    trial=None,
    reason="none",
    meets_constraints=False,
    best_quality=None,
    cheapest=None,
    fastest=None,
    baseline=None,
)


def test_a_shared_load_test_is_written_once_and_read_whole(tmp_path: Path) -> None:
    shared = scaled(LOAD, 1.3, of_trial=0)
    measured = [raw(0, "lora", load=LOAD), raw(1, "lora", load=shared), raw(2, "prompt")]
    results = Results(options=[], measured=measured, recommendation=ADVICE, spent=Spent())
    write_results(tmp_path, results)
    stored = json.loads((tmp_path / RESULTS_FILE).read_text())["measured"]
    assert len(stored[0]["load"]["runs"]) == len(LOAD.runs)
    assert stored[1]["load"]["runs"] == []
    assert read_results(tmp_path) == results
