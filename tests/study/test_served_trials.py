"""Trials of one serving class: one cost and one latency, shared load tests, and a frontier by what is shown."""

import math
from pathlib import Path

import numpy as np
import pytest

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Devices, Fidelity
from autoadapt.domain.load import Batch, Load, LoadRun
from autoadapt.domain.outcome import Measurement, OnnxTimes, Outcome, RowResult
from autoadapt.domain.task import Budget, SearchSettings
from autoadapt.domain.usage import Usage
from autoadapt.economics.batching import BatchTimes
from autoadapt.economics.queueing import at_pace, scaled
from autoadapt.forecast.simulation import SimulatedTask
from autoadapt.runs.run_folder import Record
from autoadapt.shelves import METHODS
from autoadapt.study.options import MeasuredTrials

ROWS, REQUESTS = 200, 60
TASK = SimulatedTask("joint", Budget(trials=9), ("lora",), rows=ROWS).resolved(SearchSettings(), 0)


class Trials:
    """Trials measured by hand, all of them LoRA on one model unless a method is named."""

    def __init__(self) -> None:
        self.measured = MeasuredTrials(TASK.goals, TASK.metric, TASK.task.economics, "x")
        self.random = np.random.default_rng(0)

    def add(self, trial: int, quality: float, ms: float, method: str = "lora", train_seconds: float = 1.0) -> None:
        right = np.arange(ROWS) < round(quality * ROWS)
        rows = [RowResult(id=i, stats=[float(r)], tokens_in=20, tokens_out=1) for i, r in enumerate(right)]
        measurement = Measurement(
            rows=rows,
            training=Usage(device_seconds={"x": train_seconds}),
            answering=Usage(device_seconds={"x": ms / 1000 * ROWS / 3}),
            inference_seconds=ms / 1000 * ROWS / 3,
            latency_ms=(ms * np.exp(self.random.normal(0, 0.05, REQUESTS))).tolist(),
            peak_memory_bytes=1,
            parameters_trained=1,
            parameters_total=1,
        )
        candidate = Candidate(method=method, model="made-up", params={"learning_rate": 0.001 * (trial + 1)})
        fidelity = Fidelity(rows=ROWS, steps=1.0, latency_requests=REQUESTS)
        job = TASK.fit_job(0, TASK.space.candidate(TASK.space.first()[0]), 0, fidelity)
        job = job.model_copy(update={"trial": trial, "candidate": candidate})
        outcome = Outcome.of(job, measurement, Devices(kind="x", count=1, accelerator="cpu"), 1.0)
        self.measured.add(trial, Record(Path(f"trials/{trial:04d}/rung0"), job, outcome))


@pytest.fixture
def trials() -> Trials:
    return Trials()


def test_methods_of_one_architecture_are_one_class_and_features_another() -> None:
    def name(method: str, **params: object) -> str:
        return METHODS.get(method).serving_class(method, params)

    assert name("lora", r=8) == name("full", learning_rate=0.1) == name("prompt", shots=0) == name("ia3") == "model"
    assert name("prompt", num_beams=3) == "model num_beams=3"
    assert name("head", C=3.0, depth=0.7) == "features depth=0.7"
    assert name("head", C=9.0, depth=1.0) == name("contrastive", C=1.0) == "features"
    assert name("tfidf", units="words", C=3.0) == "tfidf units=words"


def test_noise_of_the_machine_is_no_trade_off_within_a_class(trials: Trials) -> None:
    """Six options of one model spread from 14.6 to 40.7 ms, and one of quality 0.15 stood on the frontier."""
    for trial, (quality, ms) in enumerate([(0.8, 40.7), (0.6, 30.0), (0.5, 22.0), (0.4, 17.0), (0.15, 14.6)]):
        trials.add(trial, quality, ms)
    assert trials.measured.frontier() == [0]
    values = trials.measured.values()
    assert len({round(values[t]["latency_ms"], 1) for t in values}) == 1


def test_training_that_costs_under_a_cent_a_month_more_keeps_no_worse_option_on_the_frontier(trials: Trials) -> None:
    trials.add(0, 0.8, 20.0, train_seconds=2.0)
    trials.add(1, 0.7, 20.0, train_seconds=1.0)
    assert trials.measured.frontier() == [0]


def test_another_class_that_is_faster_stays_on_the_frontier(trials: Trials) -> None:
    trials.add(0, 0.8, 40.0)
    trials.add(1, 0.7, 4.0, method="head")
    assert trials.measured.frontier() == [0, 1]


def test_the_frontier_follows_what_is_shown(trials: Trials) -> None:
    """Options that are dominated on every figure shown stood on the frontier, which went by single requests."""
    trials.add(0, 0.8, 40.0)
    trials.add(1, 0.7, 4.0, method="head")
    shown = {
        trial: values | {"latency_ms": 50.0, "cost_usd_per_1k": 1.0} for trial, values in shown_so_far(trials).items()
    }
    trials.measured.show(shown)
    assert trials.measured.frontier() == [0]


def shown_so_far(trials: Trials) -> dict[int, dict[str, float]]:
    return trials.measured.values()


def test_the_end_of_a_search_does_not_depend_on_the_order_of_trials() -> None:
    times = [20.0, 24.0, 19.0, 22.0, 30.0, 21.0, 20.5, 26.0, 18.0, 23.0]
    forth, back = Trials(), Trials()
    for trial, ms in enumerate(times):
        forth.add(trial, 0.5, ms)
    back.random = np.random.default_rng(0)
    for trial in reversed(range(len(times))):
        back.add(trial, 0.5, times[trial])
    for each in (forth, back):
        each.measured.settle({})
    for trial in range(len(times)):
        one, other = (each.measured.serving.served(trial) for each in (forth, back))
        assert one.row_seconds == pytest.approx(other.row_seconds, rel=1e-9)


def test_a_later_timing_with_more_requests_counts_for_the_class(trials: Trials) -> None:
    trials.add(0, 0.8, 20.0)
    again = trials.measured.measurement(0).model_copy(update={"latency_ms": [40.0] * 200})
    trials.measured.time_again(0, again)
    assert trials.measured.values()[0]["latency_ms"] == pytest.approx(40.0)


def stated_bound(trials: Trials, trial: int) -> float:
    """Upper bound of the p95 of a trial over its median, without the error of the median."""
    serving = trials.measured.serving
    served, p95 = serving.served(trial), float(np.percentile(serving.measurement(trial).latency_ms, 95))
    log_ratio = math.sqrt(math.log(serving.p95_high(trial)) ** 2 - (1.645 * served.median_error) ** 2)
    return math.exp(log_ratio) * p95 / (served.median_ms or math.nan)


def test_trials_that_were_asked_the_same_rows_bound_a_p95_no_better_than_one(trials: Trials) -> None:
    for trial in range(10):
        trials.random = np.random.default_rng(0)
        trials.add(trial, 0.5, 20.0)
    one = np.array(trials.measured.measurement(0).latency_ms)
    assert stated_bound(trials, 0) == pytest.approx(one.max() / np.median(one)), "the slowest of 60 rows"


def test_test_rows_and_validation_rows_are_different_inputs(trials: Trials) -> None:
    """Both are numbered from 0. Of 60 and 200 inputs the 253rd bounds the p95: P(Binomial(260, 0.95) < 253) > 0.95."""
    for trial in range(2):
        trials.add(trial, 0.5, 20.0)
    first = trials.measured.measurement(0)
    again = (20 * np.exp(np.random.default_rng(1).normal(0, 0.05, 200))).tolist()
    trials.measured.time_again(0, first.model_copy(update={"latency_ms": again}))
    parts = [np.array(ms) / np.median(ms) for ms in (again, trials.measured.measurement(1).latency_ms)]
    assert stated_bound(trials, 0) == pytest.approx(np.sort(np.concatenate(parts))[253 - 1])


def test_classes_timed_in_turn_are_compared_by_that(trials: Trials) -> None:
    """Options of one class were measured in a slow hour, in which their answers took twice as long."""
    for trial, ms in enumerate([40.0, 44.0, 36.0]):
        trials.add(trial, 0.8, ms)
    trials.add(3, 0.7, 4.0, method="head")
    measured = trials.measured
    measured.settle({})
    before = measured.values()
    measured.settle({0: [20.0] * 60, 3: [4.0] * 60})
    served = {trial: measured.serving.served(trial).median_ms for trial in range(4)}
    assert served == pytest.approx({0: 20.0, 1: 20.0, 2: 20.0, 3: 4.0}), "one option stands for its class"
    assert np.median(measured.serving.measurement(1).latency_ms) == pytest.approx(20.0, rel=0.02)
    after = measured.values()
    assert after[1]["latency_ms"] / before[1]["latency_ms"] == pytest.approx(0.5, rel=0.1)
    assert after[1]["cost_usd_per_1k"] == before[1]["cost_usd_per_1k"], "answers in batches were not timed again"
    measured.settle({})
    assert measured.values() == before


def onnx_times(torch_ms: float, onnx_ms: float, row_ratio: float) -> OnnxTimes:
    return OnnxTimes(
        rows=10,
        largest_difference=1e-6,
        torch_ms=[torch_ms * 0.9, torch_ms, torch_ms * 1.5],
        onnx_ms=[onnx_ms * 0.9, onnx_ms, onnx_ms * 1.5],
        torch_row_seconds=0.01,
        onnx_row_seconds=0.01 * row_ratio,
        onnx_bytes=1000,
    )


def test_a_class_that_is_faster_in_onnx_costs_and_takes_as_much_less(trials: Trials) -> None:
    """Costs per row follow the batches, latencies the single requests: each by its own measured ratio."""
    for trial, ms in enumerate((38.0, 40.0, 42.0)):
        trials.add(trial, 0.8, ms)
    trials.add(3, 0.7, 4.0, method="head")
    measured = trials.measured
    measured.settle({})
    before, name = measured.values(), measured.serving.name(1)
    spread = np.array(measured.serving.measurement(1).latency_ms)
    # the machine was half as fast while the two forms were compared: only the ratio counts
    measured.settle({}, {0: onnx_times(80.0, 20.0, 0.5)})
    after = measured.values()
    for trial in range(3):
        assert after[trial]["latency_ms"] == pytest.approx(before[trial]["latency_ms"] / 4)
        assert after[trial]["cost_usd_per_1k"] == pytest.approx(before[trial]["cost_usd_per_1k"] / 2, rel=1e-3), (
            "training"
        )
    assert after[3] == before[3], "another class"
    assert np.sort(measured.serving.measurement(1).latency_ms) == pytest.approx(np.sort(spread) / 4)
    assert (measured.serving.name(1), measured.serving.name_in_its_library(1)) == (f"{name}, in ONNX", name)
    measured.settle({0: [20.0] * 60, 3: [4.0] * 60}, {0: onnx_times(80.0, 20.0, 0.5)})
    assert measured.serving.served(1).median_ms == pytest.approx(5.0), "times in turn are those of PyTorch"
    measured.settle({})
    assert measured.values() == before


@pytest.mark.parametrize(
    ("onnx_ms", "row_ratio", "pays"), [(20.0, 0.9, True), (36.0, 0.9, True), (37.0, 0.5, False), (20.0, 1.2, False)]
)
def test_onnx_pays_where_it_is_clearly_faster_and_batches_are_not_slower(
    trials: Trials, onnx_ms: float, row_ratio: float, pays: bool
) -> None:
    trials.add(0, 0.8, 40.0)
    trials.measured.settle({}, {0: onnx_times(40.0, onnx_ms, row_ratio)})
    assert (trials.measured.serving.onnx(0) is not None) == pays


def test_the_error_of_times_in_turn_is_part_of_the_stated_error(trials: Trials) -> None:
    """Medians of 20 requests deviate by what a simulation of the same distribution shows."""
    for trial in range(20):
        trials.add(trial, 0.8, 20.0)
    random = np.random.default_rng(0)
    drawn = 20 * np.exp(random.normal(0, 0.2, (2000, 20)))
    deviation = float(np.log(np.median(drawn, axis=1)).std())
    stated = []
    for times in drawn[:40]:
        trials.measured.settle({0: times.tolist()})
        stated.append(trials.measured.serving.served(0).median_error)
    assert np.mean(stated) > 0.95 * deviation


def test_a_load_test_at_another_pace_is_that_of_answers_that_take_as_long() -> None:
    batches = [Batch(rows=1, seconds=0.02)] * 59 + [Batch(rows=64, seconds=0.2)]
    run = LoadRun(rate=4.0, sent_seconds=15.0, seconds=16.0, e2el_ms=[20.0, 30.0])
    load = Load(runs=[run], batches=batches, engine="e", hardware="x", clock="simulated")
    moved = at_pace(load, 2.0)
    assert {batch.seconds for batch in moved.batches} == {0.04, 0.4}
    assert moved.single_requests == 59
    assert moved.of_trial is None
    assert (moved.runs[0].rate, moved.runs[0].e2el_ms) == (2.0, [40.0, 60.0]), "as many wait at half the rate"


def test_a_shared_load_test_says_whose_it_is() -> None:
    batches = [Batch(rows=1, seconds=0.02)] * 59 + [Batch(rows=64, seconds=0.2)]
    load = Load(runs=BatchTimes(batches).runs(1.0), batches=batches, engine="e", hardware="x", clock="simulated")
    shared = scaled(load, 1.5, of_trial=3)
    assert shared.of_trial == 3
    assert shared.runs[0].rate == pytest.approx(load.runs[0].rate / 1.5)
    assert np.median(shared.runs[0].e2el_ms) == pytest.approx(1.5 * np.median(load.runs[0].e2el_ms))
