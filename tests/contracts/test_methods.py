"""Every method keeps its interface: it documents its parameters, fits, and leaves an artifact that answers alike."""

from pathlib import Path

import pytest
from job_runs import CLASSICAL, DEVICES, SPLITS, JobRun, causal_lm, encoder, scripted
from pydantic import TypeAdapter

from autoadapt.domain.method import Method
from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.domain.space import Spec
from autoadapt.shelves import FAMILIES, METHODS
from autoadapt.worker.artifacts import load_artifact
from autoadapt.worker.measuring import rows_of
from autoadapt.worker.workshop import Workshop

ALL = Capabilities(
    generates=True,
    reads_prompts=True,
    embeds=True,
    contrasts=True,
    counts_words=True,
    scores_labels=True,
    answers_label_sets=True,
    trains=True,
    adapters=True,
    parameters=1_000_000,
)
ANSWERS: dict[AnswerKind, str] = {"label": "scores_labels", "labels": "answers_label_sets", "text": "generates"}


@pytest.fixture(params=METHODS.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def method(name: str) -> Method:
    return METHODS.get(name)


def test_method_documents_and_limits_its_parameters(name: str, method: Method) -> None:
    assert isinstance(method.tunes, bool)
    for field_name, field in method.Params.model_fields.items():
        assert field.description, f"{name}.{field_name} has no documentation"
    required = {n: "plain" for n, f in method.Params.model_fields.items() if f.is_required()}
    assert method.Params.model_validate(required)
    assert method.Params.model_config.get("frozen")


def test_method_has_a_branch_of_its_own_parameters_and_known_good_starts(method: Method) -> None:
    specs = {name: TypeAdapter(Spec).validate_python(spec) for name, spec in method.branch.items()}
    assert set(specs) <= set(method.Params.model_fields)
    required = {n: "plain" for n, f in method.Params.model_fields.items() if f.is_required()}
    for start in method.first:
        assert set(start) <= set(specs)
        assert method.Params.model_validate({**required, **start})
    if method.tunes:
        assert specs, "naming a method that trains should be enough to search over it"


def test_method_states_what_a_model_lacks(method: Method) -> None:
    for kind, ability in ANSWERS.items():
        if kind in method.answers:
            assert method.lacks(ALL, kind) == []
            assert set(method.lacks(Capabilities(), kind)) == {*method.needs, ability}
        else:
            assert method.lacks(ALL, kind) == [f"answers of the kind {kind}"]
    assert set(method.needs) <= set(Capabilities.model_fields)


def test_method_estimates_how_many_weights_it_trains(method: Method) -> None:
    trained = method.parameters_trained({}, ALL)
    assert 0 <= trained <= ALL.parameters
    assert (trained > 0) == method.tunes


def fits_and_leaves_an_artifact_that_answers_alike(root: Path, model: ModelReference, name: str) -> None:
    method = METHODS.get(name)
    jobs = JobRun(root, model, text="label" not in method.answers)
    capabilities = FAMILIES.get(model.family).capabilities(model)
    lacking = method.lacks(capabilities, "text" if jobs.labels is None else "label")
    if lacking:
        pytest.skip(f"{model.name} lacks {', '.join(lacking)}")
    job = jobs.fit(name)
    measurement = jobs.measure(job)
    assert len(measurement.rows) == SPLITS["validation"]
    assert (measurement.train_steps > 0) == method.tunes
    assert (measurement.parameters_trained > 0) == (method.tunes or method.one_rung)
    assert measurement.parameters_trained <= measurement.parameters_total
    adapted = load_artifact(jobs.artifact(job), Workshop(), DEVICES, lambda: None)
    rows = rows_of(jobs.root, "validation")
    adapted.prepare([row.input for row in rows])
    answers = adapted.answer([row.input for row in rows])
    assert [row.tokens_in for row in measurement.rows] == [a.tokens_in for a in answers]
    scores = [float(a.text in row.outputs) for a, row in zip(answers, rows, strict=True)]
    assert scores == [row.stats[0] for row in measurement.rows]


def test_method_fits_a_scripted_model(name: str, tmp_path: Path) -> None:
    fits_and_leaves_an_artifact_that_answers_alike(tmp_path / "run", scripted(), name)


def test_method_fits_a_real_model(name: str, tmp_path: Path, tiny_model: Path) -> None:
    fits_and_leaves_an_artifact_that_answers_alike(tmp_path / "run", causal_lm(tiny_model), name)


def test_method_fits_an_encoder(name: str, tmp_path: Path, tiny_encoder: Path) -> None:
    fits_and_leaves_an_artifact_that_answers_alike(tmp_path / "run", encoder(tiny_encoder), name)


def test_method_fits_a_model_of_words(name: str, tmp_path: Path) -> None:
    fits_and_leaves_an_artifact_that_answers_alike(tmp_path / "run", CLASSICAL, name)


def test_method_that_trains_leaves_no_artifact_before_its_last_rung(
    name: str, method: Method, tmp_path: Path, tiny_encoder: Path
) -> None:
    if not method.tunes:
        pytest.skip("it trains nothing")
    model = scripted()
    if method.lacks(FAMILIES.get(model.family).capabilities(model), "label"):
        model = encoder(tiny_encoder)
    jobs = JobRun(tmp_path / "run", model)
    jobs.measure(jobs.fit(name, keep_checkpoint=True))
    assert not jobs.artifact(jobs.fit(name)).exists()
