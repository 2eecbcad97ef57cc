"""Which dominated trials are worth being scored as parts of cascades: made-up answers whose best cascades are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoadapt.domain.jobs import Devices, Fidelity
from autoadapt.domain.option import Option
from autoadapt.domain.outcome import Measurement, Outcome, RowResult
from autoadapt.domain.task import Budget, SearchSettings
from autoadapt.domain.usage import Usage
from autoadapt.economics.pricer import Pricer
from autoadapt.forecast.simulation import SimulatedTask
from autoadapt.runs.run_folder import Record, RunFolder
from autoadapt.study.cascading import Cascades
from autoadapt.study.confidences import Confidences
from autoadapt.study.further_parts import MOST_KEPT, SMALL_BYTES, FurtherParts
from autoadapt.study.options import MeasuredTrials
from autoadapt.study.raw_options import RawOptions
from autoadapt.tasks.prices import task_terms

ROWS = 400
HARD = np.arange(ROWS) >= 240
"""Rows of which a sure option is not sure."""
PLAIN, SURE, DEAR, OTHER = 0, 1, 2, 3


def right(share: float, seed: int = 0, where: np.ndarray | None = None) -> np.ndarray:
    """Whether rows are right: exactly this share of them, or of those chosen; of the others none is."""
    rows = np.flatnonzero(np.ones(ROWS, bool) if where is None else where)
    chosen = np.random.default_rng(seed).permutation(rows)[: round(share * len(rows))]
    flags = np.zeros(ROWS)
    flags[chosen] = 1
    return flags


class Measured:
    """A study of trials measured by hand, with quality and cost as objectives."""

    def __init__(self) -> None:
        task = SimulatedTask("joint", Budget(trials=9), ("lora",), rows=ROWS, objectives=("quality", "cost_usd_per_1k"))
        self.resolved = resolved = task.resolved(SearchSettings(), 0)
        self.measured = MeasuredTrials(resolved.goals, resolved.metric, resolved.task.economics, "x")
        folder = RunFolder(Path("nowhere"), lasting=False)
        self.raws = RawOptions(resolved, folder, self.measured, [])
        self.terms = task_terms(resolved.task)
        cascades = Cascades(resolved, self.raws, Confidences(folder, self.measured), self.terms)
        self.parts = FurtherParts(self.measured, cascades, resolved.metric, 0, self.option)

    def add(self, trial: int, scores: np.ndarray, confidence: np.ndarray, seconds: float, **more: Any) -> None:
        tokens = round(1000 * seconds)  # options of one class differ in cost by their tokens alone
        rows = [
            RowResult(id=i, stats=[float(s)], tokens_in=tokens, tokens_out=1, confidence=float(c))
            for i, (s, c) in enumerate(zip(scores, confidence, strict=True))
        ]
        measurement = Measurement(
            **{
                "rows": rows,
                "answering": Usage(device_seconds={"x": seconds}),
                "inference_seconds": seconds,
                "latency_ms": [1.0] * 60,
                "peak_memory_bytes": 1,
                "artifact_bytes": 1000,
                "parameters_trained": 1,
                "parameters_total": 1,
                **more,
            }
        )
        space = self.resolved.space
        candidate = space.candidate(space.first()[0]).model_copy(update={"params": {"r": trial}})
        job = self.resolved.fit_job(
            0, space.candidate(space.first()[0]), 0, Fidelity(rows=ROWS, steps=1.0, latency_requests=60)
        )
        job = job.model_copy(update={"trial": trial, "candidate": candidate})
        outcome = Outcome.of(job, measurement, Devices(kind="x", count=1, accelerator="cpu"), seconds)
        self.measured.add(trial, Record(Path(f"trials/{trial:04d}/rung0"), job, outcome))

    def option(self, trial: int) -> Option:
        return Pricer(self.raws.option(trial), self.terms).as_option(self.terms.cell())

    def shown(self) -> list[Option]:
        return [self.option(trial) for trial in self.measured.frontier()]

    def found(self) -> list[int]:
        return self.parts.of(self.shown(), self.measured.trials())


SAYS_NOTHING = np.random.default_rng(9).uniform(0.5, 0.9, ROWS)
SURE_OF_EASY = np.where(HARD, 0.4, 0.98)
EASY = right(1.0, where=~HARD)
"""Right on every easy row and on no hard one: 0.6 of all."""


@pytest.fixture
def study() -> Measured:
    """Plain dominates sure by one row of 400; the confidences of the sure one are worth something before the dear one."""
    study = Measured()
    study.add(PLAIN, right(0.6025), SAYS_NOTHING, 1.0)
    study.add(SURE, EASY, SURE_OF_EASY, 1.1)
    study.add(DEAR, right(0.9, seed=1), SAYS_NOTHING, 20.0)
    return study


def test_dominated_first_part_that_knows_when_it_is_right_is_worth_scoring(study: Measured) -> None:
    assert study.measured.frontier() == [DEAR, PLAIN]
    assert study.found() == [SURE]


@pytest.mark.parametrize(
    ("scores", "seconds"),
    [(right(0.45, where=~HARD), 1.1), (EASY, 1.3)],
    ids=["clearly worse", "clearly dearer"],
)
def test_trial_that_is_dominated_beyond_measurement_error_is_not(
    study: Measured, scores: np.ndarray, seconds: float
) -> None:
    study.add(SURE, scores, SURE_OF_EASY, seconds)
    assert study.found() == []


def test_trial_whose_confidences_say_nothing_is_not(study: Measured) -> None:
    study.add(SURE, EASY, SAYS_NOTHING, 1.1)
    assert study.found() == []


def test_trial_that_saves_no_more_than_an_option_shown_is_not(study: Measured) -> None:
    study.add(PLAIN, np.maximum(EASY, right(1 / 160, where=HARD)), SURE_OF_EASY, 1.0)
    assert study.measured.frontier() == [DEAR, PLAIN]
    assert study.found() == []


def test_second_part_that_is_right_where_the_first_is_not_is_worth_scoring() -> None:
    """The dear option of the frontier is right on nine of ten hard rows, the one that it dominates on all of them."""
    study = Measured()
    study.add(SURE, EASY, SURE_OF_EASY, 1.0)
    study.add(DEAR, right(0.91, seed=1), SAYS_NOTHING, 20.0)
    study.add(OTHER, np.where(HARD, 1.0, right(0.84, seed=2, where=~HARD)), SAYS_NOTHING, 21.0)
    assert study.measured.frontier() == [DEAR, SURE]
    assert study.found() == [OTHER]


def test_no_more_than_two_are_scored_and_those_that_save_most_come_first(study: Measured) -> None:
    """Each is dearer than the one before by a little, and right on one more row."""
    for wrong, (trial, seconds) in enumerate(((SURE, 1.19), (13, 1.15), (12, 1.05), (11, 1.01))):
        scores = EASY.copy()
        scores[:wrong] = 0
        study.add(trial, scores, SURE_OF_EASY, seconds)
    assert study.found() == [11, 12]


def test_of_parts_that_make_the_same_cascade_the_cheapest_alone_is_scored(study: Measured) -> None:
    study.add(11, EASY, SURE_OF_EASY, 1.01)
    assert study.found() == [11]


def test_answers_that_a_provider_bills_are_not_bought_for_it(study: Measured) -> None:
    study.add(SURE, EASY, SURE_OF_EASY, 1.1, answering=Usage(device_seconds={"x": 1.1}, usd=1e-9))
    assert study.found() == []


def test_discarded_trial_is_no_part(study: Measured) -> None:
    study.measured.discarded.add(SURE)
    assert study.found() == []


def test_small_artifacts_near_the_frontier_are_kept_for_options_to_come() -> None:
    """Before the dear option is measured nothing is known of the use of the sure one."""
    study = Measured()
    study.add(PLAIN, right(0.6025), SAYS_NOTHING, 1.0)
    study.add(SURE, EASY, SURE_OF_EASY, 1.1)
    study.add(4, EASY, SAYS_NOTHING, 1.1, artifact_bytes=SMALL_BYTES + 1)
    study.add(5, right(0.3), SAYS_NOTHING, 1.1)
    assert study.measured.dominated() == {SURE, 4, 5}
    assert study.parts.of(study.shown(), study.measured.dominated()) == []
    assert study.parts.kept(study.shown(), study.measured.dominated()) == [SURE]
    study.add(DEAR, right(0.9, seed=1), SAYS_NOTHING, 20.0)
    study.add(SURE, EASY, SURE_OF_EASY, 1.1, artifact_bytes=SMALL_BYTES + 1)
    assert study.parts.kept(study.shown(), study.measured.dominated()) == [SURE], "a large one that is useful already"
    for trial in range(20, 30):
        study.add(trial, EASY, SAYS_NOTHING, 1.1)
    assert len(study.parts.kept(study.shown(), study.measured.dominated())) == MOST_KEPT
