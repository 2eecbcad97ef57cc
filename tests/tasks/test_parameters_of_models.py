"""Parameters that only some models take: absent on the others, which are an arm of their own."""

from pathlib import Path

import pytest

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.model import Capabilities
from autoadapt.domain.space import Branch, SearchSpace, specs_on
from autoadapt.domain.task import Task
from autoadapt.methods.prompt import Prompt, PromptParams
from autoadapt.models.remote import Remote
from autoadapt.surrogates.parameters import Parameter
from autoadapt.tasks.parsing import parse
from autoadapt.tasks.space import BRANCH, JointSpace, Pairs
from autoadapt.tasks.yaml_document import Document

SPACE = """
templates: {plain: "{% for e in examples %}{{ e.input }} {{ e.output }}{% endfor %}{{ input }}"}
instructions: {none: ""}
shared: {template: [plain], instruction: [none]}
branches:
  prompt:
    shots: [0, 4]
    reasoning: {search: [none, steps], when: {reasons: true}}
    samples: {search: [1, 5], when: {reasoning: steps}}
    label_score: {search: [sum, mean], when: {answers: label, reasoning: none}}
first:
  - {method: prompt, shots: 4, reasoning: none}
  - {method: prompt, shots: 0, reasoning: steps, samples: 5}
"""
DEFAULTS = {name: field.default for name, field in PromptParams.model_fields.items()}


def task(*models: str) -> Task:
    return Task.model_validate(
        {
            "name": "t",
            "data": {"path": "x.csv", "columns": {"input": "a", "output": "b"}},
            "metric": "accuracy",
            "models": list(models),
            "methods": ["prompt"],
            "budget": {"trials": 1},
            "economics": {"usd_per_hour": 1},
        }
    )


def joint(reasons: dict[str, bool]) -> JointSpace:
    known = {name: Capabilities(reads_prompts=True, reasons=able) for name, able in reasons.items()}
    pairs = Pairs({"prompt": tuple(reasons)}, dict.fromkeys(reasons, "causal_lm"), known)
    space = parse(Document(Path("space.yaml"), SPACE), SearchSpace)
    return JointSpace(space, task(*reasons), "label", pairs)


def test_models_that_do_not_reason_are_an_arm_without_it() -> None:
    space = joint({"large": True, "small": False, "tiny": False})
    assert {name: (arm.models, [*arm.specs][2:]) for name, arm in space.arms.items()} == {
        "prompt/large": (("large",), ["shots", "reasoning", "samples", "label_score"]),
        "prompt/small": (("small", "tiny"), ["shots", "label_score"]),
    }
    assert space.arms["prompt/small"].specs["label_score"].when == {"answers": ["label"]}, "reasoning counts as none"
    first = [space.candidate(params) for params in space.first()]
    assert [(c.model, c.params["shots"], c.params.get("reasoning")) for c in first] == [
        ("large", 4, "none"),
        ("small", 4, None),
        ("tiny", 4, None),
        ("large", 0, "steps"),
    ], "what a model does not take is not tried on it"
    drawn = list(space.drawn(60, seed=0))
    assert {c.params.get("reasoning") for c in drawn if c.model != "large"} == {None}
    assert {c.params.get("reasoning") for c in drawn if c.model == "large"} == {"none", "steps"}


def test_models_that_take_the_same_are_one_arm() -> None:
    assert [*joint({"a": False, "b": False}).arms] == ["prompt"]
    assert [*joint({"a": True, "b": True}).arms] == ["prompt"]


def test_efforts_are_those_of_the_model() -> None:
    branch = BRANCH.validate_python(dict(Remote.branches["prompt"]))
    able = Capabilities(reasons=True, reasoning_efforts=["low", "none"])
    assert specs_on(branch, able, DEFAULTS, 4)["reasoning_effort"].choices == ["none", "low"]  # type: ignore[union-attr]
    assert "reasoning_effort" not in specs_on(branch, Capabilities(reasons=True), DEFAULTS, 4)


@pytest.mark.parametrize("answers", ["label", "text"])
def test_servers_reason_in_free_text_alone(answers: str) -> None:
    specs = specs_on(BRANCH.validate_python(dict(Remote.branches["prompt"])), Capabilities(reasons=True), DEFAULTS, 4)
    arm = Branch("prompt", specs, 0, answers, ("m",))
    reasoning = Parameter("reasoning", arm.specs["reasoning"], 0, arm.specs["reasoning"].when)
    assert reasoning.applies({}), "free text has no way of asking for labels"
    assert reasoning.applies({"label_way": "text"})
    assert not reasoning.applies({"label_way": "schema"})


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"samples": 3}, "give a temperature"),
        ({"samples": 3, "temperature": 0.5}, None),
        ({"temperature": 0.5, "num_beams": 3}, "beams are not drawn"),
        ({"logit_bias": 2.0}, "label_way: logprobs"),
        ({"reasoning": "steps", "label_way": "schema"}, "no room for reasoning"),
        ({"reasoning": "steps"}, None),
    ],
)
def test_parameters_that_contradict_each_other(params: dict[str, object], said: str | None) -> None:
    reason = Prompt().contradiction(params)
    assert reason is None if said is None else said in (reason or "")


def test_what_is_written_before_an_answer() -> None:
    def written(**params: object) -> float:
        return Candidate.model_validate({"method": "prompt", "model": "m", "params": params}).written_first

    assert written(samples=5) == 0
    assert written(reasoning="steps") == 128
    assert written(reasoning="steps", reasoning_tokens=64, samples=5) == 320
