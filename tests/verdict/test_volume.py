"""Hypervolume with its reference point, over spend, per method, and attained over runs: by hand and against moocore."""

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.domain.trial_row import TrialRow
from autoadapt.errors import UserError
from autoadapt.verdict.volume import attainment, by_method, front, over_spend, points, reference_of, share


def row(trial: int, quality: float, cost: float, latency: float, **more: object) -> TrialRow:
    told: dict[str, object] = {
        "trial": trial,
        "state": "complete",
        "method": "lora",
        "model": "m",
        "params": {},
        "quality": quality,
        "cost_usd_per_1k": cost,
        "latency_ms": latency,
        "usd": 1.0,
        "ended": f"2026-01-01T00:00:{trial:02d}",
    }
    return TrialRow(**{**told, **more})  # type: ignore[arg-type]


def test_by_hand() -> None:
    rows = [row(0, 0.5, 1, 10), row(1, 0.9, 10, 100)]
    box = reference_of(rows)
    assert (box.cost_usd_per_1k, box.latency_ms, box.best_cost_usd_per_1k, box.best_latency_ms) == (20, 200, 1, 10)
    # in powers of ten the box is 1.301 wide in both; the dear option adds 0.4 of quality over 0.301 x 0.301
    wide, narrow = np.log10(20), np.log10(2)
    assert share(points(rows), box) == pytest.approx((0.5 * wide**2 + 0.4 * narrow**2) / wide**2)
    assert "$20 per 1k" in box.told
    assert "200 ms" in box.told


@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.01, 100), st.floats(1, 1000)), min_size=1, max_size=15))
def test_like_moocore(found: list[tuple[float, float, float]]) -> None:
    rows = [row(i, *f) for i, f in enumerate(found)]
    box = reference_of(rows)
    worst = [0.0, np.log10(box.cost_usd_per_1k), np.log10(box.latency_ms)]
    size = (worst[1] - np.log10(box.best_cost_usd_per_1k)) * (worst[2] - np.log10(box.best_latency_ms))
    theirs = moocore.hypervolume(points(rows), ref=worst, maximise=[True, False, False]) / size
    assert share(points(rows), box) == pytest.approx(theirs, rel=1e-9)


def test_it_only_grows_with_spend_and_counts_failures() -> None:
    rows = [row(0, 0.5, 1, 10), row(1, 0.4, 5, 20, state="failed", usd=3.0), row(2, 0.9, 2, 20)]
    curve = over_spend(rows, reference_of(rows))
    assert [usd for usd, _ in curve] == [0, 1, 5]
    assert [v for _, v in curve] == sorted(v for _, v in curve)
    stopped = [*rows, row(3, 0.99, 1, 10, state="stopped early")]
    assert over_spend(stopped, reference_of(rows))[-1] == (6, curve[-1][1]), "a part of the work is no point"


def test_methods_have_frontiers_of_their_own() -> None:
    rows = [row(0, 0.5, 1, 10, method="prompt"), row(1, 0.9, 1, 10), row(2, 0.8, 2, 20)]
    assert [r.trial for r in front(rows)] == [1]
    assert {m: [r.trial for r in found] for m, found in by_method(rows).items()} == {"lora": [1], "prompt": [0]}


def test_what_runs_attained() -> None:
    runs = [[row(0, 0.5, 1, 10), row(1, 0.9, 10, 10)], [row(0, 0.7, 2, 10)]]
    corners = {(c["share"], c["quality"], c["cost_usd_per_1k"]) for c in attainment(runs, "cost_usd_per_1k")}
    assert corners == {(0.5, 0.5, 1), (0.5, 0.7, 2), (0.5, 0.9, 10), (1.0, 0.5, 2), (1.0, 0.7, 10)}


def test_nothing_measured_is_said() -> None:
    with pytest.raises(UserError, match="no trial was measured in full"):
        reference_of([row(0, 0.5, 1, 10, state="failed")])
