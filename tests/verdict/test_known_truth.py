"""Studies whose true qualities are known: do the intervals cover them, and how much too high are the scores?

The functions are those of benchmarks/verdict, which runs them 1,000 times each and on whole searches.
"""

import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "verdict"))
from run import one_run, summary  # type: ignore[import-not-found]


def check(metric: str, runs: int) -> None:
    found = summary([one_run(metric, seed) for seed in range(runs)])
    # 93 to 97 % of 1,000 runs; of fewer, as far as their number can tell (three standard errors)
    room = max(0.02, 3 * math.sqrt(0.05 * 0.95 / runs))
    for who in ("best", "advised"):
        assert found[f"{who}: interval of the test score covers"] == pytest.approx(0.95, abs=room)
        assert abs(found[f"{who}: test score"]) < 0.01, "less than a point of optimism is left"
        assert abs(found[f"{who}: validation less expected optimism"]) < 0.01
        assert found[f"{who}: range of its optimism from validation rows covers"] >= 0.95 - room
        assert found[f"{who}: range of its optimism by test rows covers"] == pytest.approx(0.95, abs=room)
    assert found["advised: loses more than may be given up"] <= 0.05
    assert found["best: validation score"] > 0.015, "the score by which it was selected is too high"


def test_reported_quality_is_unbiased_and_intervals_cover_the_truth() -> None:
    check("accuracy", 120)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_reported_quality_over_a_thousand_studies(metric: str) -> None:
    check(metric, 1000)
