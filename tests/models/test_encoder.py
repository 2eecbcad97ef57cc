"""The family of encoders: which models are its own, training with a classifier, pairs of texts, types of models."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import make_encoder
from job_runs import DEVICES, JobRun, encoder, quality

from autoadapt.domain.jobs import Fidelity
from autoadapt.domain.rows import joined_input
from autoadapt.errors import UserError
from autoadapt.model_files import ENCODERS, POSITIONS_BEHIND_PADDING, context_length, is_encoder, names_encoder
from autoadapt.models.encoder.encoder_model import input_reader, load
from autoadapt.named_models import named_folder
from autoadapt.shelves import FAMILIES
from autoadapt.tasks.found_models import find_model
from autoadapt.worker.artifacts import load_artifact
from autoadapt.worker.measuring import rows_of
from autoadapt.worker.workshop import Workshop

has_minilm = pytest.mark.skipif(named_folder("minilm") is None, reason="extra minilm")
LEARNS = {"learning_rate": 5e-3, "num_train_epochs": 10, "batch_size": 8}
ADAPTER = {"learning_rate": 1e-2, "r": 16, "lora_alpha": 32}


@pytest.fixture
def jobs(tiny_encoder: Path, tmp_path: Path) -> JobRun:
    return JobRun(tmp_path / "run", encoder(tiny_encoder))


# -- which names are encoders'


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, True),
        ({"model_type": "bert"}, True),
        ({"model_type": "modernbert", "architectures": ["ModernBertForMaskedLM"]}, True),
        ({"model_type": "deberta-v2", "architectures": None}, True),
        ({"model_type": "bert", "architectures": ["BertLMHeadModel"], "is_decoder": True}, False),
        ({"model_type": "bert", "is_decoder": True}, False),
        ({"model_type": "roberta", "architectures": ["RobertaForCausalLM"]}, False),
        ({"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]}, False),
        ({"model_type": "modernbert-decoder", "architectures": ["ModernBertDecoderForCausalLM"]}, False),
        ({}, False),
    ],
)
def test_configuration_says_whether_a_model_is_an_encoder(config: dict[str, object], expected: bool) -> None:
    assert is_encoder(config) == expected


def test_types_of_encoders_are_those_of_transformers() -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    assert set(MODEL_FOR_MASKED_LM_MAPPING_NAMES) >= ENCODERS


def test_each_family_claims_its_own_folders(tiny_encoder: Path, tiny_model: Path) -> None:
    def claiming(name: str) -> list[str]:
        return [f for f in FAMILIES.names() if FAMILIES.get(f).claims(name, Path())]

    assert claiming(str(tiny_encoder)) == claiming("minilm") == ["encoder"]
    assert claiming(str(tiny_model)) == claiming("embedded") == ["causal_lm"]
    assert claiming("nobody/knows-this-model") == ["causal_lm"]


@pytest.mark.shared
def test_a_decoder_of_an_encoders_type_stays_a_causal_model(shared: Path) -> None:
    assert not names_encoder(str(shared / "models" / "minilm-causal"), Path())


def test_a_hub_model_is_an_encoder_by_its_configuration_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / "models--some--encoder" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps({"model_type": "electra"}))
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert names_encoder("some/encoder", Path())
    assert not names_encoder("some/other", Path())


def test_positions_behind_the_padding_token_do_not_count(tmp_path: Path) -> None:
    assert "roberta" in POSITIONS_BEHIND_PADDING
    for kind, expected in (("roberta", 512), ("bert", 514)):
        config = {"model_type": kind, "max_position_embeddings": 514, "pad_token_id": 1}
        (tmp_path / "config.json").write_text(json.dumps(config))
        assert context_length(tmp_path) == expected


# -- training


@pytest.mark.parametrize("method", ["full", "lora"])
def test_training_learns_and_its_artifact_answers_alike(jobs: JobRun, method: str) -> None:
    job = jobs.fit(method, params={**LEARNS, **ADAPTER} if method == "lora" else LEARNS)
    measurement = jobs.measure(job)
    assert quality(measurement) > 0.8
    assert measurement.train_loss[-1] < 0.5 * measurement.train_loss[0]
    rows = rows_of(jobs.root, "validation")
    adapted = load_artifact(jobs.artifact(job), Workshop(), DEVICES, lambda: None)
    answers = adapted.answer([row.input for row in rows])
    stored = [json.loads(line) for line in jobs.predictions(job).splitlines()]
    assert [a.text for a in answers] == [line["answer"] for line in stored]
    for answer, line, row in zip(answers, stored, measurement.rows, strict=True):
        assert answer.log_probs == pytest.approx(line["log_probs"], abs=2e-3)
        assert answer.confidence == pytest.approx(row.confidence, abs=2e-3)
    assert 33 * 3 < measurement.parameters_trained <= measurement.parameters_total


@pytest.mark.parametrize("method", ["full", "lora"])
def test_rungs_equal_an_uninterrupted_training(jobs: JobRun, method: str) -> None:
    params = (
        {**LEARNS, "num_train_epochs": 3, "lora_dropout": 0.1}
        if method == "lora"
        else {**LEARNS, "num_train_epochs": 3}
    )
    whole = jobs.measure(jobs.fit(method, trial=0, params=params))
    half = Fidelity(rows=12, steps=0.4, latency_requests=3)
    jobs.measure(jobs.fit(method, trial=1, params=params, fidelity=half, keep_checkpoint=True))
    assert not jobs.artifact(jobs.fit(method, trial=1)).exists()
    parts = jobs.measure(jobs.fit(method, trial=1, params=params, rung=1))
    assert parts.train_steps == whole.train_steps
    assert parts.train_loss == pytest.approx(whole.train_loss, abs=1e-5)
    assert [r.stats for r in parts.rows] == [r.stats for r in whole.rows]


def test_answers_do_not_depend_on_the_batch(jobs: JobRun) -> None:
    job = jobs.fit("full", params=LEARNS)
    jobs.measure(job)
    adapted = load_artifact(jobs.artifact(job), Workshop(), DEVICES, lambda: None)
    inputs = [row.input * (1 + i % 3) for i, row in enumerate(rows_of(jobs.root, "validation"))]
    for together, alone in zip(adapted.answer(inputs), [adapted.answer([text])[0] for text in inputs], strict=True):
        assert together.log_probs == pytest.approx(alone.log_probs, abs=1e-4)
        assert sum(map(lambda x: 2.718281828**x, together.log_probs)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("modernbert", {"global_attn_every_n_layers": 2, "local_attention": 16}),
        ("deberta-v2", {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0}),
        ("distilbert", {"dim": 32, "hidden_dim": 64, "n_layers": 3, "n_heads": 4}),
        ("roberta", {"type_vocab_size": 1, "max_position_embeddings": 130}),
    ],
)
def test_other_types_of_encoders_are_trained_and_give_features(
    tmp_path: Path, kind: str, changes: dict[str, object]
) -> None:
    folder = make_encoder(tmp_path / kind, kind, **changes)
    jobs = JobRun(tmp_path / "run", find_model(str(folder), tmp_path, download=False))
    assert jobs.model.family == "encoder"
    for trial, (method, params) in enumerate([("lora", {}), ("head", {"depth": 0.5})]):
        measurement = jobs.measure(jobs.fit(method, trial=trial, params=params))
        assert all(0 < row.confidence <= 1 for row in measurement.rows if row.confidence is not None)
        load_artifact(jobs.artifact(jobs.fit(method, trial=trial)), Workshop(), DEVICES, lambda: None).answer(
            ["a plum"]
        )


# -- inputs


def test_two_columns_are_read_as_a_pair(tiny_encoder: Path) -> None:
    lm = load(str(tiny_encoder), "cpu")
    columns = ["question", "passage"]
    encoded = input_reader(lm, columns)(joined_input(columns, ["a ripe apple", "the long saw"]))
    expected = lm.tokenizer("a ripe apple", "the long saw", return_token_type_ids=True)
    assert encoded.ids == expected["input_ids"]
    assert encoded.types == expected["token_type_ids"]
    assert 1 in encoded.types
    one = input_reader(lm, [])("a ripe apple")
    assert one.ids == lm.tokenizer("a ripe apple")["input_ids"]
    assert set(one.types or []) == {0}


def test_an_option_reads_pairs_as_it_was_trained_on_them(tiny_encoder: Path, tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", encoder(tiny_encoder))
    columns = ["article", "rest"]
    for split in ("train", "dev", "validation"):
        file = jobs.root / "data" / f"{split}.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        for row in rows:
            row["input"] = joined_input(columns, row["input"].split(" ", 1))
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = jobs.fit("full", params=LEARNS, input_columns=columns)
    measurement = jobs.measure(job)
    assert quality(measurement) > 0.8
    adapted = load_artifact(jobs.artifact(job), Workshop(), DEVICES, lambda: None)
    inputs = [row.input for row in rows_of(jobs.root, "validation")]
    assert [a.tokens_in for a in adapted.answer(inputs)] == [row.tokens_in for row in measurement.rows]


def test_a_long_text_is_cut_and_said_to_be(tiny_encoder: Path) -> None:
    lm = load(str(tiny_encoder), "cpu")
    encoded = input_reader(lm, [])("apple " * 500)
    assert encoded.truncated
    assert len(encoded.ids) == lm.context_length == 128
    assert encoded.ids[-1] == lm.tokenizer.sep_token_id


def test_special_tokens_in_a_text_are_inert(tiny_encoder: Path) -> None:
    lm = load(str(tiny_encoder), "cpu")
    ids = input_reader(lm, [])("one [SEP] two [CLS]").ids
    assert ids.count(lm.tokenizer.sep_token_id) == ids.count(lm.tokenizer.cls_token_id) == 1


def test_long_texts_are_no_reason_to_refuse_an_encoder(jobs: JobRun) -> None:
    for split in ("train", "validation"):
        file = jobs.root / "data" / f"{split}.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        file.write_text("".join(json.dumps({**row, "input": f"{row['input']} " * 40}) + "\n" for row in rows))
    measurement = jobs.measure(jobs.fit("head", params={"C": 100.0}))
    assert measurement.rows_truncated == len(measurement.rows)
    assert max(row.tokens_in for row in measurement.rows) == 128


# -- artifacts


@pytest.mark.parametrize("method", ["full", "lora", "head"])
def test_an_artifact_without_its_head_is_refused(jobs: JobRun, method: str) -> None:
    job = jobs.fit(method)
    jobs.measure(job)
    file = jobs.artifact(job) / "option.json"
    described = json.loads(file.read_text())
    described["files"].pop("head.safetensors")
    file.write_text(json.dumps(described))
    (jobs.artifact(job) / "head.safetensors").unlink()
    with pytest.raises(UserError, match=r"it has no head\.safetensors"):
        load_artifact(jobs.artifact(job), Workshop(), DEVICES, lambda: None)


def test_an_artifact_holds_no_pickle(jobs: JobRun) -> None:
    for trial, method in enumerate(("full", "lora", "head")):
        job = jobs.fit(method, trial=trial)
        jobs.measure(job)
        suffixes = {file.suffix for file in jobs.artifact(job).rglob("*") if file.is_file()}
        assert suffixes <= {".safetensors", ".json", ".md", ".txt"}


def test_an_option_finds_its_base_model_by_name(jobs: JobRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(jobs.model.location, moved)
    jobs.model = jobs.model.model_copy(update={"name": str(moved)})
    job = jobs.fit("head")
    jobs.measure(job)
    file = jobs.artifact(job) / "option.json"
    file.write_text(file.read_text().replace(jobs.model.location, "/nowhere/at/all"))
    assert load_artifact(jobs.artifact(job), Workshop(), DEVICES, lambda: None).answer(["a ripe plum"])


# -- the real one


@has_minilm
@pytest.mark.shared
def test_minilm_with_a_head_answers_questions(shared: Path, tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", find_model("minilm", Path(), download=False))
    capabilities = FAMILIES.get("encoder").capabilities(jobs.model)
    assert capabilities.context_length == 512
    assert 22e6 < capabilities.parameters < 23e6
    rows = [json.loads(line) for line in (shared / "data" / "trec6" / "train.jsonl").read_text().splitlines()[:300]]
    jobs.labels = sorted({row["label"] for row in rows})
    for split, start, end in (("train", 0, 200), ("dev", 200, 220), ("validation", 220, 300)):
        lines = [{"id": i, "input": r["text"], "outputs": [r["label"]]} for i, r in enumerate(rows[start:end])]
        (jobs.root / "data" / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    job = jobs.fit("head", params={"depth": 0.8, "C": 30.0}, fidelity=Fidelity(rows=80, steps=1.0, latency_requests=3))
    assert quality(jobs.measure(job)) > 0.7


@has_minilm
def test_minilm_places_sentences_of_like_meaning_close_together() -> None:
    from autoadapt.local_models.features import Features

    lm = load(find_model("minilm", Path(), download=False).location, "cpu")
    read = input_reader(lm, [])
    with torch.no_grad():
        vectors = Features(lm, "mean").of(
            [read(t) for t in ("A cat sleeps.", "The kitten is napping.", "Stocks fell today.")]
        )
    near, far = (torch.cosine_similarity(vectors[0], vectors[i], dim=0).item() for i in (1, 2))
    assert near > 0.5 > far
