"""Every family of models keeps its interface: it claims, finds, states what it can do, opens, loads and drops."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from job_runs import DEVICES, JobRun
from remote_server import Chat, chat_server

from autoadapt.domain.family import ModelFamily
from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.errors import UserError
from autoadapt.shelves import FAMILIES, METHODS
from autoadapt.worker.artifacts import load_artifact
from autoadapt.worker.measuring import rows_of

Model = tuple[ModelFamily, ModelReference]


@pytest.fixture(params=FAMILIES.names())
def model(request: pytest.FixtureRequest, tiny_model: Path, tiny_encoder: Path) -> Model:
    """A family with one of its models; a new family adds a model's name here."""
    names = {
        "causal_lm": str(tiny_model),
        "classical": "classical",
        "encoder": str(tiny_encoder),
        "scripted": "scripted:parameters=1000",
    }
    if request.param == "remote":
        url, _ = request.getfixturevalue("chat")
        names["remote"] = f"server:m@{url}"
    family = FAMILIES.new(request.param)
    return family, family.find(names[request.param], Path(), download=False)


@pytest.fixture
def chat() -> Iterator[tuple[str, Chat]]:
    """A server for models that answer over the network."""
    with chat_server() as server:
        yield server


def test_family_claims_its_own_models_alone(model: Model, tmp_path: Path) -> None:
    family, reference = model
    assert family.claims(reference.name, Path())
    assert not family.claims("no such model", tmp_path)
    claiming = [name for name in FAMILIES.names() if FAMILIES.get(name).claims(reference.name, Path())]
    assert claiming == [reference.family]


def test_family_states_what_its_model_can_do(model: Model) -> None:
    family, reference = model
    capabilities = family.capabilities(reference)
    assert capabilities.generates or capabilities.scores_labels or capabilities.embeds
    assert capabilities.parameters > 0 or capabilities.remote or capabilities.counts_words
    assert any(not METHODS.get(name).lacks(capabilities, "label") for name in METHODS.names())


def test_family_does_what_it_says_it_can(model: Model, tmp_path: Path) -> None:
    family, reference = model
    capabilities = family.capabilities(reference)
    jobs = JobRun(tmp_path / "run", reference)
    for trial, name in enumerate(METHODS.names()):
        if not METHODS.get(name).lacks(capabilities, "label"):
            measured = jobs.measure(jobs.fit(name, trial=trial))
            total, trained = measured.parameters_total, measured.parameters_trained
            # a head is trained in addition to the model
            assert total - trained <= capabilities.parameters <= total or capabilities.counts_words
            assert trained <= total


def test_family_loads_again_after_it_has_dropped_its_models(model: Model, tmp_path: Path) -> None:
    family, reference = model
    prompted = family.capabilities(reference).reads_prompts
    jobs = JobRun(tmp_path / "run", reference)
    job = jobs.fit("prompt", params={"shots": 2, "selector": "nearest"}) if prompted else jobs.fit(untuned(model))
    jobs.measure(job)
    inputs = [row.input for row in rows_of(jobs.root, "validation")]
    answers = []
    for _ in range(2):
        adapted = load_artifact(jobs.artifact(job), jobs.workshop, DEVICES, lambda: None)
        answers.append(adapted.answer(inputs))
        adapted.close()
        jobs.workshop.drop()
    assert answers[0] == answers[1]
    assert (jobs.workshop.loading_seconds > 0) == (not family.capabilities(reference).counts_words)


def untuned(model: Model) -> str:
    """A method without training for the model."""
    capabilities = model[0].capabilities(model[1])
    return next(
        n for n in METHODS.names() if not METHODS.get(n).tunes and not METHODS.get(n).lacks(capabilities, "label")
    )


def test_family_repeats_a_training_from_its_seed(model: Model, tmp_path: Path) -> None:
    family, reference = model
    if METHODS.get("lora").lacks(family.capabilities(reference), "label"):
        pytest.skip("it cannot be tuned by LoRA")
    jobs = JobRun(tmp_path / "run", reference)
    first, again = (jobs.measure(jobs.fit("lora", trial=trial)) for trial in (0, 1))
    assert first.train_loss == again.train_loss
    assert [row.stats for row in first.rows] == [row.stats for row in again.rows]


def test_family_knows_nothing_of_a_foreign_error(model: Model) -> None:
    assert model[0].failure_class(RuntimeError("shapes do not fit")) is None


def test_families_of_unlike_abilities_fit_unlike_methods() -> None:
    only_prompts = FAMILIES.get("scripted").capabilities(
        ModelReference(name="scripted:trains=false,adapters=false", family="scripted", location="")
    )
    assert only_prompts == Capabilities(
        generates=True, reads_prompts=True, scores_labels=True, context_length=2048, parameters=1_000_000
    )
    fitting = [name for name in METHODS.names() if not METHODS.get(name).lacks(only_prompts, "label")]
    assert {"full", "ia3", "lora"} & set(fitting) == set()
    assert "prompt" in fitting


def test_scripted_settings_that_are_wrong_are_refused() -> None:
    for name in ("scripted:speed=1", "scripted:step_seconds=fast", "scripted:step_seconds"):
        with pytest.raises(UserError, match="write scripted:key=value"):
            FAMILIES.get("scripted").find(name, Path(), download=False)
