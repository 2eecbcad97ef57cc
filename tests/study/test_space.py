"""The joint space: found by name and path, checked before anything runs, asked for whole candidates."""

from pathlib import Path
from typing import Any

import optuna
import pytest

from autoadapt.domain.space import SearchSpace
from autoadapt.domain.task import Task
from autoadapt.errors import UserError
from autoadapt.shelves import METHODS
from autoadapt.tasks.space import JointSpace, load_space, space_folder


def task(**changes: Any) -> Task:
    return Task.model_validate(
        {
            "name": "t",
            "data": {"path": "d"},
            "metric": "accuracy",
            "models": ["m"],
            "budget": {"trials": 1},
            "economics": {"usd_per_hour": 1},
            **changes,
        }
    )


def joint(answers: Any = "label", name: str = "joint", **changes: Any) -> JointSpace:
    return JointSpace(load_space(name, Path(".")), task(**changes), answers)


@pytest.mark.parametrize("name", [p.stem for p in space_folder().glob("*.yaml")])
@pytest.mark.parametrize("answers", ["label", "text"])
def test_candidates_are_complete_and_valid(name: str, answers: str) -> None:
    space = joint(answers, name, models=["m1", "m2"])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    seen = set()
    for _ in range(200):
        trial = study.ask()
        candidate = space.suggest(trial)
        METHODS.get(candidate.method).Params.model_validate(candidate.params)
        assert ("selector" in candidate.params) == bool(candidate.params.get("shots"))
        if candidate.method == "prompt":
            assert ("label_score" in candidate.params) == (answers == "label")
        assert space.candidate(trial.params) == candidate
        seen |= set(trial.params)
    assert {"method", "model", "prompt.template", "lora.r", "full.learning_rate", "prompt.shots"} <= seen


def test_first_candidates_begin_with_the_zero_shot_prompt() -> None:
    space = joint(models=["m1", "m2"])
    first = [space.candidate(p) for p in space.first()]
    assert (first[0].method, first[0].params["shots"]) == ("prompt", 0)
    assert {c.method for c in first} == {"prompt", "lora", "full"}
    assert {c.model for c in first} == {"m1", "m2"}
    assert {c.method for c in map(joint(methods=["lora"]).candidate, joint(methods=["lora"]).first())} == {"lora"}


def test_a_candidates_key_does_not_depend_on_order() -> None:
    one = joint().candidate(joint().first()[0])
    turned = one.model_copy(update={"params": dict(reversed(one.params.items()))})
    assert turned.key() == one.key()
    assert one.model_copy(update={"model": "other"}).key() != one.key()


def test_found_by_path_and_not_found(tmp_path: Path) -> None:
    copy = tmp_path / "mine.yaml"
    copy.write_text((space_folder() / "quick.yaml").read_text())
    assert load_space("mine.yaml", tmp_path) == load_space("quick", tmp_path)
    assert load_space(str(copy), Path("/")) == load_space("quick", tmp_path)
    with pytest.raises(UserError, match="did you mean 'joint'"):
        load_space("jiont", tmp_path)
    with pytest.raises(UserError, match="no such file"):
        load_space("./jiont.yaml", tmp_path)


@pytest.mark.parametrize(
    ("branch", "expected"),
    [
        ({"lora": {"rank": [8]}}, "branches.lora: unknown parameter 'rank'"),
        ({"lora": {"r": [0, 8]}}, "branches.lora.r: should be greater than or equal to 1, not 0"),
        ({"lora": {"r": {"low": 1, "high": 4096}}}, "branches.lora.r"),
        ({"lora": {"target_modules": ["all"]}}, "'all-linear' or 'attention'"),
        ({"prompt": {"selector": ["nearst"]}}, "did you mean 'nearest'"),
        ({"full": {}}, "has no branch for method"),
    ],
)
def test_a_wrong_branch_is_refused(branch: dict[str, Any], expected: str) -> None:
    space = SearchSpace.model_validate(
        {
            "templates": {"a": "{{ input }}"},
            "instructions": {"n": ""},
            "shared": {"template": ["a"], "instruction": ["n"]},
            "branches": branch,
        }
    )
    method = "lora" if "full" in branch else next(iter(branch))
    with pytest.raises(UserError) as caught:
        JointSpace(space, task(methods=[method]), "label")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ({"method": "loar"}, "'loar' is no branch"),
        ({"method": "lora", "rank": 3}, "unknown parameter 'rank'"),
        ({"method": "lora", "r": 3}, "3 is not in what r may be"),
    ],
)
def test_a_wrong_first_candidate_is_refused(first: dict[str, Any], expected: str) -> None:
    content = load_space("joint", Path(".")).model_dump()
    with pytest.raises(UserError) as caught:
        JointSpace(SearchSpace.model_validate({**content, "first": [first]}), task(), "label")
    assert expected in str(caught.value)
