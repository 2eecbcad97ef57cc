"""Every plug-in of every shelf keeps its interface; a new file is tested the moment it exists."""

from pathlib import Path

import optuna
import pytest

from autoadapt.domain.history import History
from autoadapt.domain.space import Branch, Range
from autoadapt.domain.task import Constraints
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.trial_state import TrialState
from autoadapt.errors import UserError
from autoadapt.registry import Registry
from autoadapt.shelves import EXECUTORS, FAMILIES, METHODS, METRICS, SAMPLERS, SELECTORS, TRACKERS


@pytest.mark.parametrize("name", TRACKERS.names())
def test_tracker_accepts_trials_of_any_kind_and_some_twice(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    tracker = TRACKERS.new(name)
    tracker.begin("a study", tmp_path)
    asked = {"method": "lora", "model": "m", "params": {"r": 8, "learning_rate": 1e-4, "template": "plain"}}
    for row in (
        TrialRow(trial=0, state=TrialState.COMPLETE, quality=0.5, train_loss=[2.0, 1.0], **asked),
        TrialRow(trial=1, state=TrialState.FAILED, failure="oom", stage="fit", reason="out of memory", **asked),
        TrialRow(trial=2, state=TrialState.CACHED, same_as=0, **asked),
        TrialRow(trial=0, state=TrialState.COMPLETE, quality=0.5, **asked),
    ):
        tracker.report(row)
    later = TRACKERS.new(name)
    later.begin("a study", tmp_path)
    later.report(TrialRow(trial=0, state=TrialState.COMPLETE, quality=0.5, **asked))


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_sampler_repeats_from_its_seed(name: str) -> None:
    def draws(seed: int) -> list[float]:
        study = optuna.create_study(directions=["maximize", "minimize", "minimize"])
        branches = {"lora": Branch("lora", {"x": Range(low=0.0, high=1.0)}, 0, "label")}
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


@pytest.mark.parametrize(
    "registry", [METRICS, METHODS, SELECTORS, SAMPLERS, EXECUTORS, FAMILIES, TRACKERS], ids=lambda r: r.kind
)
def test_unknown_name_is_answered_with_the_nearest_and_all(registry: Registry[object]) -> None:
    known = registry.names()[0]
    with pytest.raises(UserError) as caught:
        registry.get(known[:-1] + "q")
    assert f"did you mean '{known}'" in str(caught.value)
    assert all(n in str(caught.value) for n in registry.names())
