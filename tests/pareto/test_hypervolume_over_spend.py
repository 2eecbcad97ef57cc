"""Hypervolume over spend, recomputed from the trials by sampling and by their moments in the Optuna study."""

from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import optuna
import pytest

from autoadapt.display.report.sections import volumes
from autoadapt.domain.objective import DEFAULT_GOALS
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.trial_state import TrialState
from autoadapt.pareto.reference import Reference, hypervolume_over_spend, reference_of
from autoadapt.runs.trials import TrialReader

POINTS = 200_000
START = datetime(2026, 1, 1, 12)


def made_up_rows(count: int) -> list[TrialRow]:
    """Trials of all states whose order by end is not that of their numbers; several end within each second."""
    draws = np.random.default_rng(3)
    states = [TrialState.COMPLETE] * 4 + [TrialState.FAILED, TrialState.STOPPED_EARLY, TrialState.RUNNING]
    rows = []
    for trial, place in enumerate(draws.permutation(count)):
        state = states[trial % len(states)]
        ended = None if state == TrialState.RUNNING else START + timedelta(seconds=0.13 * int(place))
        quality, cost, latency = draws.uniform(0.3, 0.9), 10 ** draws.uniform(-3, 0), 10 ** draws.uniform(0, 2)
        rows.append(
            TrialRow(
                trial=trial,
                state=state,
                method="lora" if trial % 2 else "prompt",
                model="m",
                params={},
                values={"quality": quality, "cost_usd_per_1k": cost, "latency_ms": latency},
                usd=float(draws.uniform(0.01, 0.1)),
                ended=ended.isoformat(timespec="microseconds") if ended else None,
            )
        )
    return rows


def sampled_share(rows: list[TrialRow], box: Reference) -> float:
    """Share of random points of the box that some trial is at least as good as."""
    draws, beaten = np.random.default_rng(0), np.zeros(POINTS, dtype=bool)
    quality = draws.uniform(box.worst["quality"], box.best["quality"], POINTS)
    others = {
        name: np.exp(draws.uniform(np.log(box.best[name]), np.log(box.worst[name]), POINTS))
        for name in ("cost_usd_per_1k", "latency_ms")
    }
    for row in rows:
        better = row.values["quality"] >= quality
        beaten |= better & np.all([row.values[name] <= values for name, values in others.items()], axis=0)
    return float(beaten.mean())


def test_every_step_is_the_volume_of_the_trials_that_had_ended_by_then() -> None:
    rows = made_up_rows(28)
    box = reference_of(rows, DEFAULT_GOALS)
    curve = dict(hypervolume_over_spend(rows, box))
    by_end = sorted((r for r in rows if r.ended), key=lambda r: str(r.ended))
    steps = 0
    for i, row in enumerate(by_end):
        spent = sum(r.usd for r in by_end[: i + 1])
        measured = [r for r in by_end[: i + 1] if r.state == TrialState.COMPLETE]
        at_most = [v for usd, v in curve.items() if usd <= spent * (1 + 1e-9)]
        assert max(at_most) == pytest.approx(sampled_share(measured, box), abs=0.005), row.trial
        steps += 1
    assert steps == 24


def test_spend_of_trials_that_have_not_ended_is_part_of_the_whole() -> None:
    """The last entry stood at the spend of ended trials: 1.38 of 1.66 dollars."""
    rows = made_up_rows(28)
    curve = hypervolume_over_spend(rows, reference_of(rows, DEFAULT_GOALS))
    assert curve[-1][0] == pytest.approx(sum(row.usd for row in rows))
    assert curve[-1][1] == curve[-2][1]


def test_trials_that_end_within_a_second_keep_their_order(tmp_path: Path) -> None:
    """Both ended at 12:00:00, and the one of the lower number was taken for the first."""
    reader = TrialReader(tmp_path, cast(Any, SimpleNamespace(economics=ECONOMICS)), cast(Any, None), DEFAULT_GOALS)
    rows = [reader.row(ended_trial(0, milliseconds=900)), reader.row(ended_trial(1, milliseconds=100))]
    assert [row.trial for row in sorted(rows, key=lambda row: str(row.ended))] == [1, 0]
    assert datetime.fromisoformat(str(rows[0].ended)) == START + timedelta(milliseconds=900)


ECONOMICS = SimpleNamespace(usd_per_hour=1, hour_usd=1)


def ended_trial(number: int, milliseconds: int) -> optuna.trial.FrozenTrial:
    """A trial of an Optuna study."""
    frozen = optuna.trial.create_trial(values=[0.5, 1.0, 1.0])
    frozen.number = number
    frozen.datetime_start, frozen.datetime_complete = START, START + timedelta(milliseconds=milliseconds)
    frozen.set_user_attr("candidate", {"method": "prompt", "model": "m", "params": {}})
    return frozen


def test_the_report_counts_the_frontier_whose_volume_it_states() -> None:
    """It counted the trials that are shown as the frontier (28 of these), beside the volume of the 8 as measured."""
    rows = [row.model_copy(update={"on_frontier": True}) for row in made_up_rows(28)]
    study = SimpleNamespace(rows=rows, goals=DEFAULT_GOALS, task=SimpleNamespace(methods=["prompt", "lora"]))
    study.reference = lambda: reference_of(rows, DEFAULT_GOALS)
    whole, *methods = volumes(cast(Any, study))["volumes"]
    measured = [row for row in rows if row.state == TrialState.COMPLETE]
    assert whole["name"] == "all methods"
    assert whole["front"] == sum(not any(dominates(a, b) for a in measured) for b in measured)
    assert whole["front"] < len(rows)
    assert whole["front"] <= sum(method["front"] for method in methods)
    assert float(whole["volume"]) == pytest.approx(sampled_share(measured, study.reference()), abs=0.005)


def dominates(one: TrialRow, other: TrialRow) -> bool:
    a, b = ([-row.values["quality"], row.values["cost_usd_per_1k"], row.values["latency_ms"]] for row in (one, other))
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))
