"""The joint space: found by name or path, checked before anything runs, asked for complete candidates."""

from pathlib import Path
from typing import Any

import optuna
import pytest

from autoadapt.domain.model import Capabilities
from autoadapt.domain.space import SearchSpace
from autoadapt.domain.task import Task
from autoadapt.errors import UserError
from autoadapt.shelves import METHODS
from autoadapt.tasks.space import JointSpace, Pairs, load_space, space_folder


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
def test_suggested_candidates_are_complete_and_valid(name: str, answers: str) -> None:
    space = joint(answers, name, models=["m1", "m2"])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    seen = set()
    for _ in range(200):
        trial = study.ask()
        candidate = space.suggest(trial)
        METHODS.get(candidate.method).Params.model_validate(candidate.params)
        assert ("selector" in candidate.params) == bool(candidate.params.get("shots"))
        if candidate.method == "prompt":
            scored = answers == "label" and candidate.params.get("reasoning", "none") == "none"
            assert ("label_score" in candidate.params) == scored
        assert space.candidate(trial.params) == candidate
        seen |= set(trial.params)
    assert {"method", "model", "prompt.template", "lora.r", "full.learning_rate", "prompt.shots"} <= seen


def test_first_candidates_begin_with_the_zero_shot_prompt() -> None:
    space = joint(models=["m1", "m2"])
    first = [space.candidate(p) for p in space.first()]
    assert (first[0].method, first[0].params["shots"]) == ("prompt", 0)
    assert {c.method for c in first} == {"prompt", "head", "lora", "full"}
    assert {c.model for c in first} == {"m1", "m2"}
    assert {c.method for c in map(joint(methods=["lora"]).candidate, joint(methods=["lora"]).first())} == {"lora"}


def test_candidate_key_ignores_the_order_of_parameters() -> None:
    one = joint().candidate(joint().first()[0])
    turned = one.model_copy(update={"params": dict(reversed(one.params.items()))})
    assert turned.key() == one.key()
    assert one.model_copy(update={"model": "other"}).key() != one.key()


def test_space_by_path(tmp_path: Path) -> None:
    copy = tmp_path / "mine.yaml"
    copy.write_text((space_folder() / "quick.yaml").read_text())
    assert load_space("mine.yaml", tmp_path) == load_space("quick", tmp_path)
    assert load_space(str(copy), Path("/")) == load_space("quick", tmp_path)


def test_unknown_space_error(tmp_path: Path) -> None:
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
    ],
)
def test_invalid_branch_error(branch: dict[str, Any], expected: str) -> None:
    space = SearchSpace.model_validate(
        {
            "templates": {"a": "{{ input }}"},
            "instructions": {"n": ""},
            "shared": {"template": ["a"], "instruction": ["n"]},
            "branches": branch,
        }
    )
    with pytest.raises(UserError) as caught:
        JointSpace(space, task(methods=list(branch)), "label")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ({"method": "loar"}, "'loar' is not a branch"),
        ({"method": "lora", "rank": 3}, "unknown parameter 'rank'"),
        ({"method": "lora", "r": 3}, "3 is not in what r may be"),
    ],
)
def test_invalid_first_candidate_error(first: dict[str, Any], expected: str) -> None:
    content = load_space("joint", Path(".")).model_dump()
    with pytest.raises(UserError) as caught:
        JointSpace(SearchSpace.model_validate({**content, "first": [first]}), task(), "label")
    assert expected in str(caught.value)


def test_method_without_a_branch_brings_its_own() -> None:
    space = joint(name="quick", methods=["prompt", "ia3"])
    assert "ia3" not in space.space.branches
    assert set(space.arms["ia3"].specs) == {"template", "instruction", *METHODS.get("ia3").branch}
    rates = {space.suggest(trial).params["learning_rate"] for trial in trials_of(space, "ia3", 20)}
    assert len(rates) == 20
    assert all(1e-3 <= float(str(rate)) <= 1e-1 for rate in rates)


def test_method_without_a_branch_brings_its_first_candidates() -> None:
    space = joint(name="quick", methods=["prompt", "ia3"])
    (first,) = [c for c in map(space.candidate, space.first()) if c.method == "ia3"]
    assert (first.params["learning_rate"], first.params["num_train_epochs"]) == (1e-2, 4)
    METHODS.get("ia3").Params.model_validate(first.params)


def test_written_branch_replaces_that_of_the_method() -> None:
    content = load_space("quick", Path(".")).model_dump()
    content["branches"]["ia3"] = {"learning_rate": [0.005]}
    space = JointSpace(SearchSpace.model_validate(content), task(methods=["ia3"]), "label")
    assert set(space.arms["ia3"].specs) == {"template", "instruction", "learning_rate"}
    (first,) = map(space.candidate, space.first())
    assert first.params["learning_rate"] == 0.005, "what the method begins with, as far as the written branch has it"
    assert space.added == ""


def test_space_without_first_begins_with_the_known_good_candidates_of_every_method() -> None:
    content = load_space("joint", Path(".")).model_dump()
    content["first"] = []
    content["branches"]["full"]["learning_rate"] = {"low": 1e-5, "high": 1e-4, "log": True}
    space = JointSpace(SearchSpace.model_validate(content), task(methods=["prompt", "lora", "full"]), "label")
    first = [space.candidate(p) for p in space.first()]
    rates = {c.method: c.params.get("learning_rate") for c in first}
    assert rates == {"prompt": None, "lora": 2e-3, "full": 1e-4}, "a number outside its range is moved to its end"
    assert [c.params["shots"] for c in first if c.method == "prompt"] == [0, 8]


def remote_first(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Parameters of the first candidates of a model behind a server."""
    known = {"server:m@http://127.0.0.1:1/v1": Capabilities(reads_prompts=True, remote=True)}
    pairs = Pairs({"prompt": tuple(known)}, dict.fromkeys(known, "remote"), known)
    unrestricted = JointSpace(SearchSpace.model_validate(content), task(models=list(known)), "label")
    space = unrestricted.restricted(pairs)
    return [dict(space.candidate(values).params) for values in space.first()]


def test_first_prompts_of_a_server_are_told_the_labels_as_the_first_prompts_of_the_space_are() -> None:
    content = load_space("quick", Path(".")).model_dump()
    first = remote_first(content)
    assert {one["label_way"] for one in first} >= {"schema", "text"}
    assert {(one["instruction"], one["template"]) for one in first} == {("options", "plain")}


def test_first_prompts_of_a_server_are_told_the_labels_where_the_space_has_no_first_candidates() -> None:
    content = {**load_space("quick", Path(".")).model_dump(), "first": []}
    assert {one["instruction"] for one in remote_first(content)} == {"options"}


def trials_of(space: JointSpace, method: str, count: int) -> list[optuna.Trial]:
    """Asked trials of one method."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(count):
        study.enqueue_trial({"method": method})
    return [study.ask() for _ in range(count)]


MODELS = {"prompt": ("a", "b", "c"), "lora": ("b", "c"), "full": ("c",)}
PAIRS = Pairs(MODELS, {}, {})


def test_candidates_are_drawn_from_compatible_pairs() -> None:
    space = joint(models=["a", "b", "c"]).restricted(PAIRS)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    drawn = {(c.method, c.model) for c in (space.suggest(study.ask()) for _ in range(300))}
    assert drawn == {(method, model) for method, models in MODELS.items() for model in models}


def test_model_parameter_of_incompatible_pairs_is_named_by_method() -> None:
    space = joint(models=["a", "b", "c"]).restricted(PAIRS)
    names = {}
    for method in MODELS:
        (trial,) = trials_of(space, method, 1)
        candidate = space.suggest(trial)
        names[method] = {name for name in trial.params if name.endswith("model")}
        assert space.candidate(trial.params) == candidate
    assert names == {"prompt": {"prompt.model"}, "lora": {"lora.model"}, "full": set()}


def test_model_parameter_of_a_full_product_is_shared() -> None:
    (trial,) = trials_of(space := joint(models=["a", "b"]), "lora", 1)
    space.suggest(trial)
    assert "model" in trial.params
    assert "lora.model" not in trial.params


def test_first_candidates_of_compatible_pairs() -> None:
    space = joint(models=["a", "b", "c"]).restricted(PAIRS)
    pairs = {(c.method, c.model) for c in map(space.candidate, space.first())}
    assert pairs == {(method, model) for method, models in MODELS.items() for model in models}


def test_candidate_of_another_space_has_no_place_on_an_incompatible_model() -> None:
    space = joint(models=["a", "b", "c"]).restricted(PAIRS)
    values = space.default("full", "c").params
    assert space.fit("full", "a", values) is None
    fitting = space.fit("full", "c", values)
    assert fitting is not None
    assert space.candidate(fitting).model == "c"


def test_first_learning_rates_suit_the_size_of_each_model() -> None:
    sizes = {"small": 17_000_000, "large": 135_000_000, "unknown": 0}
    known = {name: Capabilities(reads_prompts=True, parameters=n) for name, n in sizes.items()}
    pairs = Pairs(dict.fromkeys(["lora", "full"], tuple(sizes)), {}, known)
    space = joint(name="quick", models=list(sizes), methods=["lora", "full"]).restricted(pairs)
    rates = {(c.method, c.model): c.params["learning_rate"] for c in map(space.candidate, space.first())}
    assert rates["full", "small"] == rates["full", "unknown"] == 1e-3
    assert rates["full", "large"] == pytest.approx(3.5e-4, rel=0.05)
    assert rates["lora", "small"] == rates["lora", "unknown"] == 5e-3
    assert rates["lora", "large"] == 2e-3


def test_models_that_read_no_prompts_have_an_arm_without_prompt_parameters() -> None:
    known = {"reads": Capabilities(reads_prompts=True), "does not": Capabilities()}
    families = {"reads": "causal_lm", "does not": "scripted"}
    space = joint(models=list(known)).restricted(Pairs({"lora": tuple(known)}, families, known))
    assert set(space.arms) == {"lora", "lora@scripted"}
    own = {name for name in space.arms["lora"].specs if name not in ("template", "instruction")}
    assert set(space.arms["lora@scripted"].specs) == own
    assert (space.arms["lora"].shared, space.arms["lora@scripted"].shared) == (2, 0)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for candidate in (space.suggest(study.ask()) for _ in range(20)):
        assert ("template" in candidate.params) == (candidate.model == "reads")


def test_branch_of_a_family_in_a_space_goes_before_that_of_the_method() -> None:
    content = load_space("quick", Path(".")).model_dump()
    content["branches"]["lora@encoder"] = {"learning_rate": [0.004]}
    pairs = Pairs({"lora": ("a", "b")}, {"a": "causal_lm", "b": "encoder"}, {"b": Capabilities()})
    space = JointSpace(SearchSpace.model_validate(content), task(models=["a", "b"], methods=["lora"]), "label", pairs)
    assert list(space.arms["lora@encoder"].specs) == ["learning_rate"]
    assert space.default("lora", "b").params == {"learning_rate": 0.004}
    assert "r" in space.default("lora", "a").params


@pytest.mark.parametrize(
    ("branch", "expected"),
    [
        ("lora@encodr", "unknown family: did you mean 'encoder'"),
        ("loar@encoder", "unknown method: did you mean 'lora'"),
    ],
)
def test_branch_of_an_unknown_family_error(branch: str, expected: str) -> None:
    content = load_space("quick", Path(".")).model_dump()
    content["branches"][branch] = {"learning_rate": [0.004]}
    with pytest.raises(UserError) as caught:
        JointSpace(SearchSpace.model_validate(content), task(), "label")
    assert expected in str(caught.value)
