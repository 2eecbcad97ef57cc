"""Names in a task resolved before anything is spent: pairs of methods and models, objectives, settings, references."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from scripted_task import write_scripted_task

from autoadapt.errors import UserError
from autoadapt.shelves import OBJECTIVES
from autoadapt.tasks.found_models import find_model
from autoadapt.tasks.resolve import ResolvedTask, resolve

FROZEN = "scripted:trains=false,adapters=false"
"""A model that can only be prompted."""


def resolved(folder: Path, **changes: Any) -> ResolvedTask:
    return resolve(write_scripted_task(folder, **changes))


def error(folder: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        resolved(folder, **changes)
    return str(caught.value)


# -- compatible pairs of methods and models


def test_no_compatible_pair_error_names_what_each_method_lacks(tmp_path: Path) -> None:
    assert error(tmp_path, models=[FROZEN], methods=["lora", "full"]) == (
        f"{tmp_path / 'task.yaml'}, line 5, methods: no method can be used with any of the models:\n"
        f"  lora: {FROZEN} lacks trains, adapters\n"
        f"  full: {FROZEN} lacks trains\n"
        "Name other methods or models."
    )


@pytest.mark.parametrize(("metric", "capability"), [("accuracy", "scores_labels"), ("exact_match", "generates")])
def test_prompt_needs_what_the_metric_asks_for(tmp_path: Path, metric: str, capability: str) -> None:
    model = f"scripted:{capability}=false"
    message = error(tmp_path, models=[model], methods=["prompt"], metric=metric)
    assert f"prompt: {model} lacks {capability}" in message


def test_method_without_a_suitable_model_is_left_out_with_a_note(tmp_path: Path) -> None:
    task = resolved(tmp_path, models=[FROZEN])
    assert task.space.methods == ["prompt"]
    assert task.warnings == (
        f"lora is left out: {FROZEN} lacks trains, adapters",
        f"full is left out: {FROZEN} lacks trains",
    )
    study = optuna.create_study()
    drawn = {(c.method, c.model) for c in (task.space.suggest(study.ask()) for _ in range(30))}
    assert drawn == {("prompt", FROZEN)}


def test_candidates_are_drawn_from_compatible_pairs_of_the_task(tmp_path: Path) -> None:
    models = [FROZEN, "scripted", "scripted:adapters=false"]
    task = resolved(tmp_path, models=models)
    assert task.warnings == ()
    assert task.space.pairs.models == {"prompt": tuple(models), "lora": ("scripted",), "full": tuple(models[1:])}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = [study.ask() for _ in range(200)]
    drawn = {(c.method, c.model) for c in map(task.space.suggest, trials)}
    assert drawn == {(method, model) for method, suited in task.space.pairs.models.items() for model in suited}
    assert {n for t in trials for n in t.params if n.endswith("model")} == {"prompt.model", "full.model"}


def test_method_named_only_in_the_task_brings_its_branch(tmp_path: Path) -> None:
    task = resolved(tmp_path, search_space="quick", methods=["prompt", "ia3"])
    assert set(task.space.arms) == {"prompt", "ia3"}
    first = [task.space.candidate(params) for params in task.space.first()]
    assert {candidate.method for candidate in first} == {"prompt", "ia3"}


def test_branch_that_a_method_brings_is_part_of_the_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from autoadapt.methods.ia3 import Ia3

    before = resolved(tmp_path, search_space="quick", methods=["prompt", "ia3"]).identity()
    monkeypatch.setattr(Ia3, "branch", {**Ia3.branch, "learning_rate": [0.01]})
    after = resolved(tmp_path, search_space="quick", methods=["prompt", "ia3"]).identity()
    assert {key for key in before if before[key] != after[key]} == {"search_space"}


def test_unclaimed_model_error_names_the_families(tmp_path: Path) -> None:
    message = error(tmp_path, models=["scripted", "nobody:knows-this"])
    assert "line 4, models.1: model 'nobody:knows-this'" in message


# -- objectives


@pytest.mark.parametrize(
    "objectives",
    [
        ["quality", "energy_wh"],
        ["cost_usd_per_1k", "latency_ms"],
        ["quality", "cost_usd_per_1k", "latency_ms", "memory_mb", "energy_wh"],
    ],
)
def test_two_to_five_objectives(tmp_path: Path, objectives: list[str]) -> None:
    task = resolved(tmp_path, objectives=objectives)
    assert [goal.name for goal in task.goals] == objectives
    assert task.identity()["objectives"] == objectives


def test_unknown_objective_error(tmp_path: Path) -> None:
    message = error(tmp_path, objectives=["quality", "latencyms"])
    assert "line 12, objectives: unknown objective 'latencyms': did you mean 'latency_ms'?" in message


@pytest.mark.parametrize(
    ("objectives", "expected"),
    [
        (["quality"], "at least 2 items"),
        (["quality", "cost_usd_per_1k", "latency_ms", "memory_mb", "artifact_mb", "energy_wh"], "at most 5 items"),
        (["quality", "quality"], "names quality more than once"),
    ],
)
def test_wrong_number_of_objectives_error(tmp_path: Path, objectives: list[str], expected: str) -> None:
    message = error(tmp_path, objectives=objectives)
    assert "line 12, objectives: " in message
    assert expected in message


def test_two_uncertain_objectives_error_names_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(OBJECTIVES.get("energy_wh")), "uncertain", True)
    assert error(tmp_path, objectives=["quality", "energy_wh"]) == (
        f"{tmp_path / 'task.yaml'}, line 12, objectives: at most one objective may have a sampling error, "
        "but quality, energy_wh have one; keep one of them"
    )


# -- settings of plug-ins


def test_settings_of_a_metric(tmp_path: Path) -> None:
    task = resolved(tmp_path, metric={"judged_accuracy": {"judge": "one", "usd_per_row": 0.5}})
    settings: Any = task.metric.settings
    assert (settings.judge, settings.usd_per_row) == ("one", 0.5)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"metric": {"judged_accuracy": {"judg": "x"}}},
            "line 3, metric: metric 'judged_accuracy': unknown setting 'judg': did you mean 'judge'?",
        ),
        (
            {"metric": {"judged_accuracy": {"usd_per_row": -1}}},
            "line 3, metric: metric 'judged_accuracy': usd_per_row: should be greater than or equal to 0",
        ),
        ({"metric": {"accuracy": {"a": 1}}}, "line 3, metric: metric 'accuracy' has no settings"),
        ({"metric": "acuracy"}, "line 3, metric: unknown metric 'acuracy': did you mean 'accuracy'?"),
        ({"metric": {"accuracy": {}, "macro_f1": {}}}, "line 3, metric: give one name, or one name with its settings"),
        ({"metric": ["accuracy"]}, "line 3, metric"),
        ({"metric": None}, "metric: missing"),
        (
            {"search": {"sampler": "cost_awar"}},
            "search.sampler: unknown sampler 'cost_awar': did you mean 'cost_aware'",
        ),
        ({"search": {"sampler": {"tpe": {"x": 1}}}}, "search.sampler: sampler 'tpe' has no settings"),
        ({"compute": {"executor": "lokal"}}, "compute.executor: unknown executor 'lokal': did you mean 'local'?"),
        ({"methods": ["promt"]}, "line 5, methods: unknown method 'promt': did you mean 'prompt'?"),
    ],
)
def test_wrong_plugin_choice_error(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    assert expected in error(tmp_path, **changes)


# -- references to environment variables


def test_unset_reference_error_names_the_line(tmp_path: Path) -> None:
    message = error(tmp_path, metric={"judged_accuracy": {"judge": "${AUTOADAPT_NOT_SET}"}})
    assert (
        message
        == f"{tmp_path / 'task.yaml'}, line 3: the environment variable AUTOADAPT_NOT_SET is not set; set it, or write a value"
    )


def test_unset_reference_in_an_override_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the environment variable AUTOADAPT_NOT_SET is not set"):
        resolve(
            write_scripted_task(tmp_path, metric="judged_accuracy"),
            ["metric={judged_accuracy: {judge: '${AUTOADAPT_NOT_SET}'}}"],
        )


def test_reference_in_settings_is_replaced_where_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOADAPT_TEST_JUDGE", "a judge")
    task = resolved(tmp_path, metric={"judged_accuracy": {"judge": "${AUTOADAPT_TEST_JUDGE}"}})
    settings: Any = task.metric.settings
    assert settings.judge == "a judge"
    assert task.task.metric.settings == {"judge": "${AUTOADAPT_TEST_JUDGE}"}


@pytest.mark.parametrize("key", ["data", "search_space"])
def test_reference_in_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("AUTOADAPT_TEST_FOLDER", str(tmp_path))
    changes: dict[str, Any] = {"search_space": "${AUTOADAPT_TEST_FOLDER}/space.yaml"}
    if key == "data":
        columns = {"input": "text", "output": "label"}
        changes = {"data": {"path": "${AUTOADAPT_TEST_FOLDER}/data.jsonl", "columns": columns}}
    task = resolved(tmp_path, **changes)
    assert str(tmp_path) not in task.task.model_dump_json()


def test_reference_in_the_name_of_a_model_stays_as_written(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_HOME", str(tiny_model.parent))
    model = find_model("${MODEL_HOME}/tiny", Path(), False)
    assert model.name == model.location == "${MODEL_HOME}/tiny"
    assert model.place == str(tiny_model)
