"""A bundle of every kind of option: made, checked in a process without AutoAdapt, loaded and asked again."""

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import slow_after
from exporting import ROWS, fitted, job_run, part_of, source_of_jobs
from job_runs import CLASSICAL, JobRun, causal_lm, encoder
from remote_server import PRICE, chat_server
from transformers import AutoConfig, AutoModelForCausalLM

from autoadapt.bundle.checking import expected_answers
from autoadapt.bundle.description import BundleDescription, Handover
from autoadapt.bundle.loaded import Bundle
from autoadapt.bundle.making import make_bundle
from autoadapt.domain.jobs import Fit
from autoadapt.domain.model import ModelReference
from autoadapt.domain.remote import RemoteModel
from autoadapt.files import files_below

HEAD = {"pooling": "mean", "scaling": "unit", "depth": 0.7, "C": 30.0}
STEPS = {"reasoning": "steps", "reasoning_tokens": 12}
DRAWN = {"samples": 3, "temperature": 0.8, "top_p": 0.9}
CAUSAL: dict[str, tuple[str, dict[str, Any]]] = {
    "zero-shot": ("prompt", {"shots": 0}),
    "few-shot": ("prompt", {"shots": 3, "selector": "nearest", "label_score": "calibrated"}),
    "reasoning": ("prompt", {**STEPS, "label_score": "calibrated"}),
    "shortlist": ("prompt", {"shots": 3, "shortlist": 2, "selector": "diverse", "label_score": "calibrated"}),
    "hard shortlist": ("prompt", {"shots": 3, "shortlist": 2, "selector": "hard", "order": "by_label"}),
    "vectors": ("prompt", {"shots": 3, "selector": "nearest_embedding", "order": "best_first"}),
    "lora": ("lora", {}),
    "full": ("full", {}),
    "head": ("head", HEAD),
}
ENCODER: dict[str, tuple[str, dict[str, Any]]] = {"lora": ("lora", {}), "full": ("full", {}), "head": ("head", HEAD)}
WORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "tfidf": ("tfidf", {"units": "both", "classifier": "linear_svm"}),
    "majority": ("majority", {}),
}


def exported(run: JobRun, job: Fit, folder: Path) -> BundleDescription:
    """The description of a bundle that was checked; what AutoAdapt answers with it is what the run answered."""
    source = source_of_jobs(run, [job])
    description = make_bundle(source, folder)
    assert description.checked is not None
    assert (description.checked.rows, description.checked.equal) == (ROWS, ROWS)
    bundle = Bundle.load(folder)
    answers = [prediction.answer for prediction in bundle.predict([row.input for row in source.rows])]
    assert answers == expected_answers(source.parts, None, [])
    assert_portable(folder, run.root)
    return description


def test_causal_model_whose_layers_see_less_than_its_prompts(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / "windowed"
    shutil.copytree(tiny_model, folder)
    sizes = json.loads((folder / "config.json").read_text())
    same = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    kept = {name: sizes[name] for name in (*same, "num_key_value_heads", "max_position_embeddings", "pad_token_id")}
    torch.manual_seed(0)
    config = AutoConfig.for_model("mistral", **kept, sliding_window=16)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    run = job_run(tmp_path / "run", causal_lm(folder))
    exported(run, fitted(run, "prompt", params={"shots": 3, "selector": "random"}), tmp_path / "bundle")


def assert_portable(folder: Path, root: Path) -> None:
    """No file names a place on this machine; everybody may read every file."""
    for file in (path for path in folder.rglob("*") if path.is_file()):
        assert stat.S_IMODE(file.stat().st_mode) == 0o644, file
        content = file.read_bytes()
        for place in (str(root.parent), str(root), os.getcwd(), str(Path.home()) + "/"):
            assert place.encode() not in content, f"{file} names {place}"


@pytest.mark.parametrize("kind", slow_after(2, CAUSAL))
def test_causal_model(kind: str, tmp_path: Path, tiny_model: Path) -> None:
    method, params = CAUSAL[kind]
    run = job_run(tmp_path / "run", causal_lm(tiny_model))
    description = exported(run, fitted(run, method, params=params), tmp_path / "bundle")
    assert (tmp_path / "bundle" / "adapter" / "adapter_model.safetensors").exists() == (kind == "lora")
    assert (tmp_path / "bundle" / "serve.sh").exists() == (kind != "head")
    assert description.parts[0].adapter_rank == (4 if kind == "lora" else None)
    written = yaml.safe_load((tmp_path / "bundle" / "prompt.yaml").read_text())
    assert written["labels"] == ["animal", "fruit", "tool"]
    assert len(written.get("few_shot", {}).get("rows", [])) == (30 if params.get("shots") else 0)


def test_chat_template(tmp_path: Path, chat_model: Path) -> None:
    run = job_run(tmp_path / "run", causal_lm(chat_model))
    exported(run, fitted(run, "prompt", params={"shots": 2, "selector": "balanced"}), tmp_path / "bundle")


@pytest.mark.parametrize(
    ("params", "text"),
    [({**STEPS, **DRAWN}, False), (DRAWN, True), ({"stop": "line"}, True)],
    ids=["reasoning", "drawn", "stop"],
)
def test_drawn_answers_are_drawn_again(tmp_path: Path, chat_model: Path, params: dict[str, Any], text: bool) -> None:
    run = job_run(tmp_path / "run", causal_lm(chat_model), text=text)
    exported(run, fitted(run, "prompt", params=params), tmp_path / "bundle")


def test_free_text(tmp_path: Path, tiny_model: Path) -> None:
    run = job_run(tmp_path / "run", causal_lm(tiny_model), text=True)
    description = exported(run, fitted(run, "full"), tmp_path / "bundle")
    assert description.answers == "text"


@pytest.mark.parametrize("kind", ENCODER)
def test_encoder(kind: str, tmp_path: Path, tiny_encoder: Path) -> None:
    method, params = ENCODER[kind]
    run = job_run(tmp_path / "run", encoder(tiny_encoder))
    exported(run, fitted(run, method, params=params), tmp_path / "bundle")


@pytest.mark.parametrize("kind", WORDS)
def test_words(kind: str, tmp_path: Path) -> None:
    method, params = WORDS[kind]
    run = job_run(tmp_path / "run", CLASSICAL)
    exported(run, fitted(run, method, params=params), tmp_path / "bundle")
    assert (tmp_path / "bundle" / "requirements.txt").read_text().split("==")[0] == "numpy"


def test_cascade(tmp_path: Path, tiny_encoder: Path) -> None:
    run = job_run(tmp_path / "run", CLASSICAL)
    first = fitted(run, "tfidf", 0, {"units": "words", "C": 0.1})
    run.model = encoder(tiny_encoder)
    second = fitted(run, "head", 1, HEAD)
    confidence = sorted(line["confidence"] for line in part_of(run, first).predictions)[ROWS // 2]
    source = source_of_jobs(run, [first, second], Handover(temperature=1.0, threshold=confidence))
    description = make_bundle(source, tmp_path / "bundle")
    assert description.checked is not None
    assert description.checked.equal == ROWS
    predictions = Bundle.load(tmp_path / "bundle").predict([row.input for row in source.rows])
    assert [p.answer for p in predictions] == expected_answers(source.parts, source.cascade, sorted(run.labels or []))
    assert 0 < sum(p.part == 1 for p in predictions) < ROWS
    assert [part.folder for part in description.parts] == ["first", "second"]
    assert_portable(tmp_path / "bundle", run.root)


def test_model_behind_a_server(tmp_path: Path) -> None:
    with chat_server() as (url, _):
        stated = RemoteModel.model_validate({"model": "m", "price": PRICE, "key": "${SOME_KEY}"})
        settings = stated.model_dump(mode="json", exclude_defaults=True)
        model = ModelReference(name=f"server:m@{url}", family="remote", location=url, settings=settings)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SOME_KEY", "not-to-be-written")
            run = job_run(tmp_path / "run", model)
            job = fitted(run, "prompt", params={"label_way": "schema", "shots": 2, "selector": "balanced"})
            description = make_bundle(source_of_jobs(run, [job]), tmp_path / "bundle")
            with Bundle.load(tmp_path / "bundle") as bundle:
                predictions = bundle.predict(["a ripe apple no. 9"])
        assert description.checked is None
        assert description.parts[0].base_model == f"server:m@{url}"
        assert predictions[0].answer in (run.labels or [])
    assert not (tmp_path / "bundle" / "predict.py").exists()
    assert not any(b"not-to-be-written" in file.read_bytes() for file in files_below(tmp_path / "bundle"))


def test_card_can_be_read_by_the_hub(tmp_path: Path) -> None:
    run = job_run(tmp_path / "run", CLASSICAL)
    make_bundle(source_of_jobs(run, [fitted(run, "tfidf")]), tmp_path / "bundle")
    head = yaml.safe_load((tmp_path / "bundle" / "README.md").read_text().split("---")[1])
    result = head["model-index"][0]["results"][0]
    assert result["metrics"] == [{"type": "accuracy", "value": 0.5}]
    assert head["pipeline_tag"] == "text-classification"
    assert json.loads((tmp_path / "bundle" / "option.json").read_text())["quality"]["rows"] == ROWS
