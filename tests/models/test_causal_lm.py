"""The family of causal language models: what it keeps warm, which adapters it trains, what it says of a model."""

from pathlib import Path

import pytest
import torch
from conftest import make_model, slow_after
from job_runs import DEVICES, JobRun, causal_lm

from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.jobs import Fidelity, TrainingSettings
from autoadapt.domain.method import AdapterSpec
from autoadapt.errors import UserError
from autoadapt.local_models.adapters import make_trainable
from autoadapt.local_models.warm_models import WarmModels
from autoadapt.models.causal_lm import CausalLm, language_model
from autoadapt.shelves import FAMILIES, METRICS


@pytest.fixture
def jobs(tiny_model: Path, tmp_path: Path) -> JobRun:
    return JobRun(tmp_path / "run", causal_lm(tiny_model))


def trained_names(tiny_model: Path, adapter: AdapterSpec) -> set[str]:
    model = make_trainable(language_model.load(str(tiny_model), "cpu"), adapter)
    names = (name for name, parameter in model.named_parameters() if parameter.requires_grad)
    return {part for name in names for part in name.split(".") if part.endswith("_proj")}


def test_attention_names_the_projections_of_attention(tiny_model: Path) -> None:
    adapter = AdapterSpec("LORA", {"r": 4, "target_modules": "attention"})
    assert trained_names(tiny_model, adapter) == {"q_proj", "k_proj", "v_proj", "o_proj"}


@pytest.mark.parametrize("peft_type", ["IA3", "LOHA", "LOKR"])
def test_any_adapter_of_peft_sits_on_the_layers_it_is_given(tiny_model: Path, peft_type: str) -> None:
    settings = {"target_modules": ["k_proj", "v_proj"], **({"feedforward_modules": []} if peft_type == "IA3" else {})}
    assert trained_names(tiny_model, AdapterSpec(peft_type, settings)) <= {"k_proj", "v_proj"}


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [
        (AdapterSpec("LORA", {"target_modules": ["nothing"]}), r"linear layers are called .*down_proj, .*q_proj"),
        (AdapterSpec("LORRA", {}), "peft has no adapter 'LORRA': did you mean 'LORA'"),
        (AdapterSpec("LORA", {"rank": 4}), "LORA does not take these settings"),
        (AdapterSpec("PROMPT_TUNING", {"num_virtual_tokens": 4}), "cannot be merged into the weights"),
    ],
)
def test_an_adapter_that_cannot_be_made_is_explained(tiny_model: Path, adapter: AdapterSpec, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        make_trainable(language_model.load(str(tiny_model), "cpu"), adapter)


def test_a_prompt_borrows_the_warm_model_and_an_adapter_takes_it(tiny_model: Path) -> None:
    models = WarmModels(language_model.load)
    warm = models.borrow(str(tiny_model), "cpu")
    assert models.borrow(str(tiny_model), "cpu") is warm
    assert models.take(str(tiny_model), "cpu") is warm
    assert models.take(str(tiny_model), "cpu") is not warm
    assert models.loading_seconds > 0


def test_each_family_instance_keeps_its_own_models(jobs: JobRun) -> None:
    jobs.measure(jobs.fit("prompt"))
    assert jobs.workshop.loading_seconds > 0
    other = CausalLm()
    assert other.loading_seconds == 0
    assert not other.should_retire
    jobs.workshop.drop()
    jobs.workshop.drop()


def test_torch_uses_the_threads_that_the_job_was_given(jobs: JobRun) -> None:
    torch.set_num_threads(2)
    jobs.measure(jobs.fit("prompt"))
    assert torch.get_num_threads() == DEVICES.threads == 1


def test_a_job_after_a_tuned_one_answers_with_the_untouched_base_model(jobs: JobRun) -> None:
    prompt = jobs.measure(jobs.fit("prompt"))
    for trial, method in enumerate(("lora", "ia3", "full"), start=1):
        jobs.measure(jobs.fit(method, trial=trial))
        again = jobs.measure(jobs.fit("prompt", trial=10 + trial))
        assert [row.stats for row in again.rows] == [row.stats for row in prompt.rows]


@pytest.mark.parametrize("method", slow_after(1, ["lora", "full", "ia3"]))
def test_two_rungs_train_as_one(jobs: JobRun, method: str) -> None:
    half = Fidelity(rows=12, steps=0.5, latency_requests=0)
    first = jobs.measure(jobs.fit(method, fidelity=half, keep_checkpoint=True))
    parts = jobs.measure(jobs.fit(method, rung=1))
    assert 0 < first.artifact_bytes <= parts.artifact_bytes <= first.artifact_bytes + 10_000, "headers come on top"
    whole = jobs.measure(jobs.fit(method, trial=1))
    assert parts.train_loss == pytest.approx(whole.train_loss, abs=1e-6)
    assert parts.train_steps == whole.train_steps


@pytest.mark.parametrize("method", slow_after(1, ["lora", "full"]))
def test_bf16_trains_about_as_fp32_does(jobs: JobRun, method: str) -> None:
    exact = jobs.measure(jobs.fit(method))
    rough = jobs.measure(jobs.fit(method, trial=1, training=TrainingSettings(precision="bf16")))
    assert rough.train_loss == pytest.approx(exact.train_loss, rel=0.05)
    assert rough.train_loss != exact.train_loss


def test_a_metric_that_costs_money_is_asked_once_and_not_while_training(
    jobs: JobRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = METRICS.new("judged_accuracy")
    calls = []
    original = type(metric).score

    def counted(self: object, answered: list[object]) -> object:
        calls.append(len(answered))
        return original(self, answered)  # type: ignore[arg-type]

    monkeypatch.setattr(type(metric), "score", counted)
    params = {"num_train_epochs": 4}
    jobs.measure(jobs.fit("full", params=params, metric=PluginChoice(name="judged_accuracy")))
    assert calls == [36]


def test_target_modules_that_match_nothing_fail_as_a_configuration(jobs: JobRun) -> None:
    failure = jobs.failure(jobs.fit("lora", params={"target_modules": "nothing"}))
    assert failure.failure_class == "config"


def test_running_out_of_memory_in_torch_is_known_to_the_family() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert FAMILIES.get("causal_lm").failure_class(caught.value) == "oom"


def test_capabilities_are_read_from_the_folder(tiny_model: Path, tmp_path: Path) -> None:
    family = FAMILIES.get("causal_lm")
    capabilities = family.capabilities(family.find("tiny", tiny_model.parent, download=False))
    model = language_model.load(str(tiny_model), "cpu")
    assert capabilities.parameters == model.parameters
    assert capabilities.context_length == model.context_length == 512
    larger = make_model(tmp_path / "larger", layers=3)
    assert family.capabilities(causal_lm(larger)).parameters > capabilities.parameters
    not_here = causal_lm(Path("owner/name"))
    assert family.capabilities(not_here).parameters == 0
    assert family.capabilities(not_here).generates


def test_weights_that_are_no_safetensors_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(UserError, match="is damaged, or was cut off"):
        FAMILIES.get("causal_lm").capabilities(causal_lm(tmp_path))


def test_claims_look_at_names_and_folders_alone(tiny_model: Path) -> None:
    family = FAMILIES.get("causal_lm")
    assert family.claims("embedded", Path())
    assert family.claims("owner/name", Path())
    assert family.claims(tiny_model.name, tiny_model.parent)
    assert not family.claims("embeded", tiny_model.parent)
    assert not family.claims("scripted:quality=0.1", Path())
