"""Rungs: how much of the work a candidate gets first, and which candidates are promoted."""

import pytest

from autoadapt.domain.objective import DEFAULT_GOALS, Goal
from autoadapt.domain.task import Evaluation
from autoadapt.runs.values import Values
from autoadapt.study.rungs import THREE_RUNGS, promising, rungs

PEERS = [0.5, 0.6, 0.7, 0.8]


def point(quality: float, cost: float = 1.0, latency: float = 10.0) -> Values:
    return {"quality": quality, "cost_usd_per_1k": cost, "latency_ms": latency}


def promoted(values: Values, peers: int = 4) -> bool:
    return promising(values, [point(q) for q in PEERS[:peers]], DEFAULT_GOALS)


def test_prompts_start_with_fewer_rows() -> None:
    part, full = rungs(None, Evaluation(rows=300), 1000)
    assert (part.rows, part.steps, full.rows) == (100, 1.0, 300)
    assert [f.rows for f in rungs(None, Evaluation(rows=300), 1000, THREE_RUNGS)] == [40, 100, 300]


def test_tuned_candidates_start_with_fewer_steps() -> None:
    part, full = rungs(900, Evaluation(rows=300), 1000)
    assert part.steps == pytest.approx(1 / 3)
    assert (full.rows, full.steps, full.latency_requests) == (300, 1.0, 60)
    three = rungs(900, Evaluation(rows=300), 1000, THREE_RUNGS)
    assert [f.steps for f in three] == pytest.approx([1 / 9, 1 / 3, 1])


def test_single_rung_without_shares_or_with_few_rows() -> None:
    assert len(rungs(900, Evaluation(rows=300), 1000, ())) == 1
    assert len(rungs(None, Evaluation(rows=300), 40)) == 1


def test_first_candidates_are_promoted() -> None:
    assert promoted(point(0.1), peers=1)


def test_better_half_is_promoted() -> None:
    assert promoted(point(0.75))
    assert not promoted(point(0.55))


def test_cheaper_or_faster_candidate_is_promoted() -> None:
    assert promoted(point(0.55, cost=0.5))
    assert promoted(point(0.55, latency=5.0))


def test_advantage_within_measurement_noise_is_not_promoted() -> None:
    assert not promoted(point(0.55, cost=0.95, latency=9.5))


def test_minimized_uncertain_objective_of_two() -> None:
    goals = (Goal(name="loss", direction="minimize", uncertain=True), Goal(name="size", direction="minimize"))
    peers = [{"loss": loss, "size": 1.0} for loss in (0.1, 0.2, 0.3, 0.4)]
    assert promising({"loss": 0.15, "size": 1.0}, peers, goals)
    assert not promising({"loss": 0.35, "size": 1.0}, peers, goals)
    assert promising({"loss": 0.35, "size": 0.5}, peers, goals)
