"""The ledger: what was spent, what a job is expected to take, and which limit is reached."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from job_bench import fit_job

from autoadapt.domain.jobs import Devices, Fit, Refit
from autoadapt.domain.outcome import Failure, Measurement, Outcome, RowResult
from autoadapt.domain.task import Evaluation, Task
from autoadapt.domain.usage import Usage
from autoadapt.providers.answer_store import AnswerStore
from autoadapt.runs.run_folder import RunFolder
from autoadapt.study.end_costs import LEAST_TEST_ROWS
from autoadapt.study.ledger import Ledger

MakeLedger = Callable[..., Ledger]
OOM = Failure(stage="fit", failure_class="oom", reason="no memory is left")


def job(method: str = "prompt", trial: int = 0, **changes: Any) -> Fit:
    return fit_job(trial, {}, method=method, **changes)


def measured(**usages: Usage) -> Measurement:
    rows = [RowResult(id=0, stats=[1.0], tokens_in=1, tokens_out=1)]
    return Measurement(
        rows=rows, inference_seconds=0.5, latency_ms=[1.0], peak_memory_bytes=1, parameters_total=1, **usages
    )


def outcome(of: Fit | Refit, seconds: float, devices: int = 1, result: Measurement | Failure | None = None) -> Outcome:
    return Outcome.of(
        of, result or measured(), Devices(kind="x", count=devices, accelerator="cpu"), seconds, fit_measure_seconds=1.0
    )


def add(ledger: Ledger, seconds: float, devices: int = 1, result: Measurement | Failure | None = None) -> None:
    one = job()
    ledger.folder.add(ledger.folder.root, one, outcome(one, seconds, devices, result))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[MakeLedger]:
    opened: list[RunFolder] = []

    def make(**budget: Any) -> Ledger:
        folder = RunFolder(tmp_path / f"run{len(opened)}")
        folder.open()
        opened.append(folder)
        return Ledger(task_of(budget), folder, slots=2, devices=1)

    yield make
    for folder in opened:
        folder.close()


def task_of(budget: dict[str, Any]) -> Task:
    return Task.model_validate(
        {
            "name": "t",
            "data": {"path": "d"},
            "metric": "accuracy",
            "models": ["m"],
            "budget": budget,
            "economics": {"usd_per_hour": 3600},  # a dollar a second
        }
    )


def test_spend_counts_failed_jobs_and_every_device(ledger: MakeLedger) -> None:
    book = ledger(usd=100)
    add(book, 3.0)
    add(book, 2.0, devices=2, result=OOM)
    spent = book.spent(1)
    assert spent.device_seconds == pytest.approx(7.0)
    assert spent.usd == pytest.approx(7.0)
    assert spent.lost_seconds == pytest.approx(4.0), "a failed job gave nothing"
    assert spent.fit_measure_seconds == pytest.approx(1.0)


def test_spend_counts_dollars_of_a_judge(ledger: MakeLedger) -> None:
    book = ledger(usd=100)
    add(book, 3.0, result=measured(judging=Usage(usd=0.25)))
    assert book.spent(1).usd == pytest.approx(3.25)
    assert book.spent(1).device_seconds == pytest.approx(3.0)


def test_spend_counts_dollars_of_training_and_answering(ledger: MakeLedger) -> None:
    book = ledger(usd=100)
    add(book, 1.0, result=measured(training=Usage(usd=2.0), answering=Usage(usd=0.5), judging=Usage(usd=0.25)))
    assert book.spent(1).usd == pytest.approx(3.75)


def test_device_time_of_training_is_counted_once(ledger: MakeLedger) -> None:
    book = ledger(usd=100)
    add(
        book,
        5.0,
        result=measured(training=Usage(device_seconds={"x": 3.0}), answering=Usage(device_seconds={"x": 1.0})),
    )
    assert book.spent(1).device_seconds == pytest.approx(5.0)


def test_billed_dollars_count_against_the_budget_in_usd(ledger: MakeLedger) -> None:
    book = ledger(usd=10)
    add(book, 1.0, result=measured(judging=Usage(usd=6.0)))
    assert book.device_seconds_left((), 0.0) == pytest.approx(3.0)
    assert book.reached(2.9, 0.0) is None
    assert book.reached(3.1, 0.0) == "budget.usd"
    assert book.allows(2.9, [], 0.0)
    assert not book.allows(3.1, [], 0.0)


def test_billed_dollars_alone_reach_the_budget(ledger: MakeLedger) -> None:
    book = ledger(usd=10)
    add(book, 0.0, result=measured(judging=Usage(usd=10.0)))
    assert book.reached(0.0, 0.0) == "budget.usd"
    assert not book.allows(0.0, [], 0.0)


def test_billed_dollars_do_not_count_against_device_hours(ledger: MakeLedger) -> None:
    book = ledger(device_hours=10 / 3600)
    add(book, 1.0, result=measured(judging=Usage(usd=1000.0)))
    assert book.device_seconds_left((), 0.0) == pytest.approx(9.0)


def test_billed_dollars_reach_the_budget_where_devices_are_free(ledger: MakeLedger) -> None:
    book = ledger(usd=10)
    free = book.task.economics.model_copy(update={"usd_per_hour": Decimal(0)})
    book.task = book.task.model_copy(update={"economics": free})
    add(book, 1000.0, result=measured(judging=Usage(usd=9.0)))
    assert book.reached(1e6, 0.0) is None
    add(book, 1000.0, result=measured(judging=Usage(usd=1.0)))
    assert book.reached(0.0, 0.0) == "budget.usd"


def test_spend_of_an_interrupted_job_counts_once_it_is_settled(ledger: MakeLedger) -> None:
    book = ledger(usd=100)
    one = job()
    book.folder.add(book.folder.root, one, outcome(one, 1.0))
    book.folder.records[0].outcome = None
    add(book, 2.0)
    assert book.spent(1).usd == pytest.approx(2.0)
    book.folder.records[0].outcome = outcome(one, 4.0, result=OOM)
    assert book.spent(1).usd == pytest.approx(6.0)
    assert book.spent(1).usd == pytest.approx(6.0)


def test_job_is_reserved_before_it_starts(ledger: MakeLedger) -> None:
    book = ledger(usd=10)
    add(book, 4.0)
    assert book.allows(5.0, [], 0.0)
    assert not book.allows(5.0, [(5.0, 1.0)], 0.0)
    assert not book.allows(1.0, [(1.0, 5.5)], 0.0), "a running job that is over its prediction counts in full"
    assert not book.allows(5.0, [], kept_back=2.0)


def test_limit_in_usd(ledger: MakeLedger) -> None:
    book = ledger(usd=10)
    add(book, 4.0)
    assert book.reached(5.9, 0.0) is None
    assert book.reached(6.1, 0.0) == "budget.usd"
    assert book.reached(5.0, 1.5) == "budget.usd"


def test_limit_in_device_hours(ledger: MakeLedger) -> None:
    book = ledger(device_hours=10 / 3600)
    add(book, 1.0)
    assert book.reached(8.9, 0.0) is None
    assert book.reached(9.1, 0.0) == "budget.device_hours"
    assert not book.allows(9.1, [], 0.0)
    assert book.device_seconds_left((), 1.0) == pytest.approx(8.0)


def test_limit_in_hours(ledger: MakeLedger) -> None:
    book = ledger(hours=1 / 3600)
    book.folder._clock_before = 2.0
    assert book.reached(0.0, 0.0) == "budget.hours"
    assert not book.allows(0.0, [], 0.0)


def test_a_job_that_failed_has_cost_what_providers_billed_for_it(ledger: MakeLedger) -> None:
    one = ledger(usd=10)
    failed = Failure(stage="measure", failure_class="provider", reason="down", usage=Usage(usd=1.5, usd_estimated=True))
    add(one, 2.0, result=failed)
    assert one.spent(1).usd == pytest.approx(3.5)
    assert one.reached(6.4, 0.0) is None
    assert one.reached(6.6, 0.0) == "budget.usd"


def test_answers_from_the_cache_cost_an_option_but_not_the_study(ledger: MakeLedger) -> None:
    one = ledger(usd=10)
    answering = Usage(usd=2.0)
    add(one, 1.0, result=measured(answering=answering, from_cache=Usage(usd=1.75)))
    assert one.spent(1).usd == pytest.approx(1.25)


def test_money_of_jobs_that_run_or_were_killed_counts_as_it_is_spent(ledger: MakeLedger) -> None:
    one = ledger(usd=10)
    store = AnswerStore(one.folder.root)
    store.settle(store.reserve("0000/rung0", 3.0, None), 2.0, estimated=False)
    store.reserve("0000/rung0", 1.0, None)
    assert one.spent(1).usd == pytest.approx(3.0), "what is under way counts in full"
    assert one.provider_usd_cap(2.0, [(1.0, 3.0)], kept_back_usd=1.0) == pytest.approx(10 - 5 - 1)
    folder = one.folder.root / "trials" / "0000" / "rung0"
    killed = Failure(stage="start", failure_class="interrupted", reason="the run was killed")
    one.folder.add(folder, job(), outcome(job(), 1.0, result=killed))
    assert one.spent(1).usd == pytest.approx(1.0 + 3.0), "its outcome says nothing of it"
    said = Failure(stage="measure", failure_class="provider", reason="down", usage=Usage(usd=3.0))
    other = ledger(usd=10)
    again = AnswerStore(other.folder.root)
    again.reserve("0000/rung0", 3.0, None)
    other.folder.add(other.folder.root / "trials" / "0000" / "rung0", job(), outcome(job(), 1.0, result=said))
    assert other.spent(1).usd == pytest.approx(1.0 + 3.0), "it is not counted twice"
    assert ledger(trials=3).provider_usd_cap(0.0, [], 0.0) is None
    store.close()
    again.close()


def test_money_for_the_test_rows_is_kept_back(ledger: MakeLedger) -> None:
    one = ledger(usd=10)
    add(one, 1.0, result=measured(answering=Usage(usd=0.01)))
    assert one.kept_back_usd(one.folder.records, test_rows=100) == pytest.approx(1.25 * 0.01 * 100)


ANSWERED = Usage(device_seconds={"x": 0.5})
"""Of the one row of `measured`."""


def test_no_more_than_a_tenth_is_kept_back_however_slow_options_are(ledger: MakeLedger) -> None:
    for budget, most in (({"hours": 1}, 720), ({"device_hours": 1}, 360), ({"usd": 3000}, 300)):
        book = ledger(**budget)
        for _ in range(5):
            add(book, 1.0, result=measured(answering=ANSWERED))
        kept = book.kept_back(book.folder.records, Evaluation(), test_rows=1000)
        assert kept == pytest.approx(most)


def test_the_score_of_the_best_option_is_kept_back_for_even_beyond_a_tenth(ledger: MakeLedger) -> None:
    book = ledger(device_hours=0.1)
    add(book, 1.0, result=measured(answering=ANSWERED))
    kept = book.kept_back(book.folder.records, Evaluation(), test_rows=1000)
    assert kept > 1.25 * 0.5 * LEAST_TEST_ROWS > 0.1 * 360
    assert book.device_seconds_left([], kept) == pytest.approx(360 - 1 - kept)


def test_nothing_is_kept_back_before_an_option_is_measured(ledger: MakeLedger) -> None:
    book = ledger(hours=1)
    add(book, 1.0, result=OOM)
    assert book.kept_back(book.folder.records, Evaluation(), test_rows=1000) == 0.0


def test_slots_share_a_limit_on_device_time_and_not_one_on_wall_time(ledger: MakeLedger) -> None:
    book = ledger(usd=10)  # ten seconds of one device, and there are two slots
    assert book.device_seconds_left((), 0.0) == pytest.approx(10.0)
    assert book.device_seconds_left((), 0.0, of_slot=True) == pytest.approx(5.0)
    assert book.device_seconds_left([(2.0, 3.0)], 0.0, of_slot=True) == pytest.approx(3.5)
    timed = ledger(hours=1 / 3600)
    assert timed.device_seconds_left((), 0.0, of_slot=True) == pytest.approx(1.0, abs=0.5)


def test_slots_without_a_job_are_stated_beside_spend_and_no_budget_counts_them(
    ledger: MakeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 seconds on two slots, of which one worked for 70: 130 dollars that nothing named."""
    monkeypatch.setattr(RunFolder, "wall_seconds", 100.0)
    book = ledger(usd=100)
    add(book, 70.0)
    spent = book.spent(1)
    assert (spent.usd, spent.idle_seconds, spent.idle_usd) == pytest.approx((70.0, 130.0, 130.0))
    assert spent.device_seconds + spent.idle_seconds == pytest.approx(100.0 * book.slots * book.devices)
    assert book.device_seconds_left([], 0.0) == pytest.approx(30.0)
    assert book.reached(0.0, 0.0) is None
    add(book, 140.0)
    assert book.spent(2).idle_seconds == 0, "devices that a job held after it was ended are no negative idleness"
