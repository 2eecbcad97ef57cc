"""Every plug-in of every shelf keeps its interface; a new file is tested the moment it exists."""

from pathlib import Path

import numpy as np
import optuna
import pytest

from autoadapt.domain.history import History
from autoadapt.domain.rows import Row
from autoadapt.domain.space import Branch, Range
from autoadapt.domain.task import Constraints
from autoadapt.domain.trial_row import TrialRow
from autoadapt.errors import UserError
from autoadapt.registry import Registry
from autoadapt.tasks.resolve import EXECUTORS, SAMPLERS
from autoadapt.study.tracking import TRACKERS
from autoadapt.worker.run import METHODS, METRICS, SELECTORS

ROWS = [
    Row(id=i, input=f"text number {i} about {'cats' if i % 2 else 'dogs'}", outputs=["xy"[i % 2]]) for i in range(20)
]


@pytest.mark.parametrize("name", METRICS.names())
def test_metric(name: str) -> None:
    metric = METRICS.get(name)
    labels = ["x", "y"] if metric.answers == "label" else []
    truth = "x" if labels else "the cat sat on the mat"
    right, wrong = metric.row(truth, [truth], labels), metric.row("y", [truth], labels)
    assert len(right) == len(wrong)
    assert 0 <= wrong[0] < right[0] <= 1
    assert metric.value(np.array([right] * 5)) == pytest.approx(1)
    assert 0 <= metric.value(np.array([wrong] * 5)) < 0.5
    assert metric.interval in ("wilson", "bootstrap")


@pytest.mark.parametrize("name", SELECTORS.names())
def test_selector(name: str) -> None:
    select = SELECTORS.get(name).prepare(ROWS, 4, seed=1)
    again = SELECTORS.get(name).prepare(ROWS, 4, seed=1)
    chosen = select("a text about cats")
    assert len(chosen) == 4
    assert len({r.id for r in chosen}) == 4
    assert chosen == again("a text about cats")
    assert len(SELECTORS.get(name).prepare(ROWS[:2], 8, seed=1)("x")) == 2


def test_balanced_shows_every_label_and_nearest_the_like() -> None:
    balanced = SELECTORS.get("balanced").prepare(ROWS, 4, seed=0)("q")
    assert sorted(r.outputs[0] for r in balanced) == ["x", "x", "y", "y"]
    nearest = SELECTORS.get("nearest").prepare(ROWS, 3, seed=0)("all about dogs number 4")
    assert nearest[-1].id == 4


@pytest.mark.parametrize("name", TRACKERS.names())
def test_tracker_is_told_trials_of_any_kind_and_some_twice(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    tracker = TRACKERS.new(name)
    tracker.begin("a study", tmp_path)
    asked = {"method": "lora", "model": "m", "params": {"r": 8, "learning_rate": 1e-4, "template": "plain"}}
    for row in (
        TrialRow(trial=0, state="complete", quality=0.5, train_loss=[2.0, 1.0], **asked),
        TrialRow(trial=1, state="failed", failure="oom", stage="fit", reason="out of memory", **asked),
        TrialRow(trial=2, state="cached", same_as=0, **asked),
        TrialRow(trial=0, state="complete", quality=0.5, **asked),
    ):
        tracker.tell(row)
    later = TRACKERS.new(name)
    later.begin("a study", tmp_path)
    later.tell(TrialRow(trial=0, state="complete", quality=0.5, **asked))


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_sampler_repeats_from_its_seed(name: str) -> None:
    def draws(seed: int) -> list[float]:
        study = optuna.create_study(directions=["maximize", "minimize", "minimize"])
        branches = {"lora": Branch({"x": Range(low=0.0, high=1.0)}, 0, "label")}
        history = History((), branches, ("m",), frozenset({"lora"}), None, True, Constraints())
        found = []
        for i in range(12):
            study.sampler = SAMPLERS.get(name).build(seed + i, history)
            trial = study.ask()
            x = trial.suggest_float("lora.x", 0, 1)
            y = trial.suggest_int("lora.y", 0, 9) if name != "cost_aware" and x < 0.5 else 0
            found.append(x)
            study.tell(trial, [x, y, 1 - x])
        return found

    assert draws(3) == draws(3)
    assert draws(3) != draws(4)


@pytest.mark.parametrize("name", METHODS.names())
def test_method_documents_and_limits_its_parameters(name: str) -> None:
    method = METHODS.get(name)
    assert isinstance(method.tunes, bool)
    for field_name, field in method.Params.model_fields.items():
        assert field.description, f"{name}.{field_name} has no documentation"
    required = {n: "plain" for n, f in method.Params.model_fields.items() if f.is_required()}
    assert method.Params.model_validate(required)
    assert method.Params.model_config.get("frozen")


@pytest.mark.parametrize("registry", [METRICS, METHODS, SELECTORS, SAMPLERS, EXECUTORS], ids=lambda r: r.kind)
def test_unknown_name_is_answered_with_the_nearest_and_all(registry: Registry[object]) -> None:
    known = registry.names()[0]
    with pytest.raises(UserError) as caught:
        registry.get(known[:-1] + "q")
    assert f"did you mean '{known}'" in str(caught.value)
    assert all(n in str(caught.value) for n in registry.names())
