"""The end of a search within a tenth of its budget, in virtual time: a real study whose jobs are answered by functions."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from optuna.storages import InMemoryStorage
from scripted_task import write_scripted_task

from autoadapt.assess.end_of_search import EndOfSearch
from autoadapt.domain.candidate import Candidate
from autoadapt.domain.events import Event
from autoadapt.domain.jobs import Fidelity, Fit, Refit, Score
from autoadapt.executors.replay import Replay, Simulated
from autoadapt.forecast.simulation import SimulatedTimes, simulated_answer
from autoadapt.study.end_costs import LEAST_TEST_ROWS, Use
from autoadapt.study.resources import StandIns, open_resources
from autoadapt.study.search import Search
from autoadapt.study.stop_signals import StopSignals
from autoadapt.tasks.resolve import resolve

QUALITY = {"prompt": 0.4, "lora": 0.8, "full": 0.85}
TEST_ROWS = 400
EVALUATION = {
    "rows": 100,
    "test_rows": TEST_ROWS,
    "latency_requests": 5,
    "load_requests": 0,
    "robustness": False,
    "learning_curve": False,
    "final_fit": False,
}
SLOW: dict[str, float] = {"prompt": 1.5, "lora": 0.01, "full": 0.01}
"""Seconds a row where prompts are slow, as over many labels."""


class Ended:
    """A search in virtual time, with its end.

    Args:
        folder: of the task and its run.
        row_seconds: to answer a row, by method.
        slots: jobs side by side.
        storage: of the Optuna study; None: a file in the run folder, which a later run reads.
        changes: of the task.
    """

    def __init__(
        self,
        folder: Path,
        row_seconds: dict[str, float],
        slots: int = 2,
        storage: InMemoryStorage | None = None,
        **changes: Any,
    ) -> None:
        self.notes: list[str] = []
        self.row_seconds, self.slots, self.storage = row_seconds, slots, storage
        data = {"path": "data.jsonl", "columns": {"input": "text", "output": "label"}, "holdout": 0.4}
        fields = {"evaluation": EVALUATION, "search": {"sampler": "random", "rungs": False}, "data": data, **changes}
        self.resolved = resolve(write_scripted_task(folder, rows=1000, **fields))
        self.root = folder / "run"

    def answer(self, candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        each = self.row_seconds[candidate.method]
        trained = 0.0 if candidate.method == "prompt" else 60.0 * fidelity.steps
        times = SimulatedTimes(trained, each, latency_ms=1000 * each, loading_seconds=0.1)
        return simulated_answer(QUALITY[candidate.method], fidelity.rows, times, seed)

    def run(self) -> tuple[Search, EndOfSearch]:
        """Searches and ends, or goes on with what an earlier run has left."""
        executor = Replay(answers=self.answer, scores=self.answer, slots=self.slots)
        stand_ins = StandIns(executor=executor, storage=self.storage)
        with (
            StopSignals() as stop,
            open_resources(self.resolved, self.root, self._note, stand_ins=stand_ins) as resources,
        ):
            search = Search(resources)
            search.resume()
            search.run(stop)
            self.searched_seconds = search.folder.wall_seconds
            end = EndOfSearch(search, self.slots, alone=True)
            end.run(stop)
            self.end_seconds = search.folder.wall_seconds - self.searched_seconds
            return search, end

    def _note(self, event: Event) -> None:
        if event.kind in ("note", "assessing"):
            self.notes.append(event.message)


MakeEnded = Callable[..., Ended]


@pytest.fixture
def ended(tmp_path: Path) -> MakeEnded:
    def make(row_seconds: dict[str, float] = SLOW, **changes: Any) -> Ended:
        return Ended(tmp_path, row_seconds, **{"storage": InMemoryStorage(), **changes})

    return make


def scored(search: Search) -> dict[int, int]:
    """Test rows on which every option was scored."""
    jobs = [record.job for record in search.folder.records if isinstance(record.job, Score) and record.measurement]
    return {job.trial: job.rows for job in jobs}


def test_slow_options_leave_the_search_nine_tenths_of_the_budget(ended: MakeEnded) -> None:
    one = ended(budget={"hours": 0.5})
    search, _ = one.run()
    assert one.searched_seconds >= 0.85 * 1800, "no more than a tenth was kept back, and jobs end with the budget"
    assert one.end_seconds <= 0.1 * 1800
    assert search.status().complete > 8


def test_jobs_after_a_fit_of_unknown_price_are_not_ended_by_its_limit(ended: MakeEnded) -> None:
    search, _ = ended(budget={"hours": 0.5}).run()
    fits = [record.job for record in search.folder.records if isinstance(record.job, Fit)]
    limited = {job.trial for job in fits if job.longest_seconds is not None}
    later = [record.job for record in search.folder.records if not isinstance(record.job, Fit)]
    assert limited & {job.trial for job in later}
    assert {job.longest_seconds for job in later} == {None}


def test_slow_options_that_nothing_depends_on_are_left_out_and_named(ended: MakeEnded) -> None:
    one = ended(budget={"hours": 0.5})
    search, end = one.run()
    slow = [o.trial for o in search.results.options() if o.method == "prompt"]
    assert slow
    assert not {*slow} & {*scored(search)}
    assert {*slow} <= end.jobs.left_out
    assert end.unscored == [], "they were left out, and nothing is missing"
    assert any("does not pay for scoring" in note and f"trial {slow[0]}" in note for note in one.notes)


def test_the_recommended_option_is_scored_on_as_many_rows_as_can_be_paid_for(ended: MakeEnded) -> None:
    one = ended(row_seconds={"prompt": 0.5, "lora": 0.5, "full": 0.5}, budget={"hours": 0.25})
    search, end = one.run()
    rows = scored(search)
    recommended = search.results.recommendation().trial
    assert recommended in rows
    assert LEAST_TEST_ROWS <= rows[recommended] < TEST_ROWS
    assert end.unscored == []
    assert any(f"of {TEST_ROWS} test rows" in note for note in one.notes)


def test_the_recommended_option_is_scored_even_where_a_tenth_does_not_pay_for_it(ended: MakeEnded) -> None:
    one = ended(row_seconds=dict.fromkeys(SLOW, 1.0), budget={"hours": 0.15})
    search, end = one.run()
    recommended = search.results.recommendation().trial
    assert scored(search)[recommended] == LEAST_TEST_ROWS
    assert one.end_seconds > 0.1 * 540
    assert search.folder.wall_seconds <= 540, "it was kept back for"
    assert end.unscored == []


def test_all_rows_are_scored_where_the_budget_limits_trials_alone(ended: MakeEnded) -> None:
    search, end = ended(budget={"trials": 6}).run()
    assert {*scored(search).values()} == {TEST_ROWS}
    assert {*scored(search)} == {*search.results.shown_trials()}
    assert end.unscored == []


def test_end_takes_what_a_search_has_left_that_has_tried_all_of_its_trials(ended: MakeEnded) -> None:
    each = {"prompt": 0.5, "lora": 0.5, "full": 0.5}
    one = ended(row_seconds=each, budget={"hours": 0.8, "trials": 6})
    search, end = one.run()
    assert {*scored(search).values()} == {TEST_ROWS}
    assert end.unscored == []
    assert one.end_seconds > 0.1 * 2880
    assert search.folder.wall_seconds <= 2880


def test_options_are_scored_again_on_more_rows_when_a_resumed_run_has_more_budget(ended: MakeEnded) -> None:
    each = {"prompt": 0.5, "lora": 0.5, "full": 0.5}
    first, _ = ended(row_seconds=each, storage=None, budget={"hours": 0.25}).run()
    few = max(scored(first).values())
    assert few < TEST_ROWS
    budget = {"hours": 5, "trials": len(first.results.trials.trials())}
    second, _ = ended(row_seconds=each, storage=None, budget=budget).run()
    shown = second.results.shown_trials()
    assert {second.results.test_stats(trial).shape[0] for trial in shown} == {TEST_ROWS}
    assert all(pair.rows == TEST_ROWS for pair in second.results.pairs())


@pytest.mark.parametrize("limit", ["device_hours", "usd"])
def test_device_time_and_money_are_kept_to_a_tenth_too(ended: MakeEnded, limit: str) -> None:
    one = ended(budget={limit: 0.5})  # a device-hour costs a dollar
    search, _ = one.run()
    spent = sum(
        record.outcome.usage.total_device_seconds
        for record in search.folder.records
        if record.job.kind != "fit" and record.outcome is not None
    )
    assert 0 < spent <= 0.1 * 1800
    assert search.status().spent.device_seconds >= 0.85 * 1800


@pytest.mark.parametrize(
    ("slots", "left", "parts"), [(1, 134.0, [1.0, 129.1]), (1, 70.0, []), (2, 134.0, [1.0, 132.0])]
)
def test_final_fits_of_a_cascade_share_the_time_of_a_slot_by_what_each_needs(
    slots: int, left: float, parts: list[float]
) -> None:
    """The parts train for 1 s and 151 s at most, of which the second needs half, and both answer for 2 s."""
    trainings = {11: 151.0, 16: 1.0}
    fits = [Refit.model_construct(trial=trial, training_seconds=s if s > 1 else None) for trial, s in trainings.items()]
    use = {trial: Use(seconds, seconds, 0.0) for trial, seconds in trainings.items()}
    stand_in: Any = SimpleNamespace(
        _search=SimpleNamespace(resolved=SimpleNamespace(task=None)),
        _allowance=SimpleNamespace(left_in_all=lambda: Use(left, 1e9, 1e9)),
        _slots=slots,
        jobs=SimpleNamespace(
            training=lambda job: use[job.trial],
            predicted=lambda job: use[job.trial].plus(Use(2.0, 2.0, 0.0)),
            least_part=lambda job: 0.5 if job.training_seconds else 0.0,
        ),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autoadapt.assess.end_of_search.report_seconds", lambda task: 0.0)
        payable = EndOfSearch._in_time(stand_in, fits)
    given = sorted(job.training_seconds or 1.0 for job in payable)
    assert given == pytest.approx(parts, abs=0.2)
