"""autoadapt export --onnx: classifiers on a model's states in ONNX, which answer as the run did."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import call
from exporting import ask_alone, fitted, job_run, source_of_jobs
from job_runs import CLASSICAL, DEVICES, JobRun, causal_lm, encoder

from autoadapt.bundle.description import BundleDescription, Handover, OnnxFigures
from autoadapt.bundle.loaded import Bundle, read_bundle
from autoadapt.bundle.making import make_bundle
from autoadapt.bundle.onnx import check_onnx
from autoadapt.errors import UserError
from autoadapt.files import read_rows

KINDS: dict[str, tuple[str, str, dict[str, object]]] = {
    "head on the middle layers of an encoder": ("encoder", "head", {"pooling": "cls", "depth": 0.4}),
    "head on a causal model": ("causal_lm", "head", {"pooling": "last", "scaling": "unit"}),
    "LoRA on an encoder": ("encoder", "lora", {}),
}
WITHOUT_TORCH = (
    "import runpy, sys; sys.modules['torch'] = None; sys.modules['autoadapt'] = None; sys.argv = sys.argv[1:]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.fixture(scope="module")
def runs(tiny_encoder: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], JobRun]:
    made: dict[str, JobRun] = {}

    def of(family: str) -> JobRun:
        if family not in made:
            models = {"encoder": encoder(tiny_encoder), "causal_lm": causal_lm(tiny_model), "classical": CLASSICAL}
            made[family] = job_run(tmp_path_factory.mktemp(family) / "run", models[family])
        return made[family]

    return of


def texts_of(run: JobRun) -> list[str]:
    return [row.input for row in read_rows(run.root / "data" / "test.jsonl")]


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("head on the middle layers of an encoder", marks=pytest.mark.slow),
        "head on a causal model",
        "LoRA on an encoder",
    ],
)
def test_every_kind_answers_as_the_run_did(kind: str, runs: Callable[[str], JobRun], tmp_path: Path) -> None:
    family, method, params = KINDS[kind]
    run = runs(family)
    job = fitted(run, method, trial=list(KINDS).index(kind), params=params)
    source = source_of_jobs(run, [job])
    made = make_bundle(source, tmp_path / "bundle", "fp32")
    assert made.onnx is not None
    assert made.onnx.largest_difference is not None
    assert made.onnx.largest_difference < 1e-4
    assert made.checked is not None
    assert made.checked.rows == made.checked.equal == 60
    assert [part.kind for part in made.parts] == ["onnx"]
    texts = texts_of(run)
    expected = [line["answer"] for line in source.parts[0].predictions]
    with Bundle.load(tmp_path / "bundle", DEVICES) as bundle:
        assert [p.answer for p in bundle.predict(texts)] == expected
        assert [p.answer for t in texts[:5] for p in bundle.predict([t])] == expected[:5], "texts of any number"
        (long,) = bundle.predict([" ".join(texts * 3)])
        assert 0 < (long.confidence or 0) <= 1, "texts of any length"
    weights = [file.name for file in (tmp_path / "bundle").rglob("*.safetensors")]
    assert weights == ["head.safetensors"]


@pytest.fixture(scope="module")
def bundle(runs: Callable[[str], JobRun], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx") / "bundle"
    run = runs("encoder")
    make_bundle(source_of_jobs(run, [fitted(run, "head", trial=20)]), folder, "fp32")
    return folder


def test_it_answers_without_torch(bundle: Path, runs: Callable[[str], JobRun]) -> None:
    texts = texts_of(runs("encoder"))
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    command = [sys.executable, "-I", "-c", WITHOUT_TORCH, str(bundle / "predict.py"), "-"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line)["answer"] for line in done.stdout.splitlines()]
    with Bundle.load(bundle, DEVICES) as loaded:
        assert answers == [p.answer for p in loaded.predict(texts)]
    assert "torch" not in (bundle / "requirements.txt").read_text()
    assert "onnxruntime" in (bundle / "requirements.txt").read_text()


def test_the_card_says_how_much_faster_it_is(bundle: Path) -> None:
    figures = read_bundle(bundle).onnx
    assert figures is not None
    assert min(figures.torch_ms, figures.onnx_ms, figures.torch_rows_per_s, figures.onnx_rows_per_s) > 0
    card = (bundle / "README.md").read_text()
    assert f"({figures.torch_ms:.3g} by PyTorch, {figures.torch_ms / figures.onnx_ms:.2f} times as fast)" in card


def test_weights_of_eight_bits_are_scored_anew(runs: Callable[[str], JobRun], tmp_path: Path) -> None:
    run = runs("encoder")
    source = source_of_jobs(run, [fitted(run, "full", trial=21)])
    made = make_bundle(source, tmp_path / "bundle", "int8")
    assert made.onnx is not None
    assert made.checked is not None
    rows = read_rows(run.root / "data" / "test.jsonl")
    answers = ask_alone(tmp_path / "bundle", [row.input for row in rows])
    right = [answer == row.outputs[0] for answer, row in zip(answers, rows, strict=True)]
    before = [line["answer"] for line in source.parts[0].predictions]
    right_before = [answer == row.outputs[0] for answer, row in zip(before, rows, strict=True)]
    assert made.quality.value == pytest.approx(np.mean(right))
    assert made.onnx.difference == pytest.approx(np.mean(right) - np.mean(right_before))
    assert made.onnx.low is not None
    assert made.onnx.high is not None
    assert made.onnx.low <= made.onnx.difference <= made.onnx.high
    assert made.checked.equal == sum(a == b for a, b in zip(answers, before, strict=True))
    assert made.parts[0].precision == "int8"


@pytest.mark.slow
def test_of_a_cascade_the_parts_that_can_be_converted_are(runs: Callable[[str], JobRun], tmp_path: Path) -> None:
    run = runs("encoder")
    first, second = fitted(run, "head", trial=22, params={"C": 0.1}), fitted(run, "full", trial=23)
    made = make_bundle(
        source_of_jobs(run, [first, second], Handover(temperature=1.0, threshold=0.6)), tmp_path / "bundle", "fp32"
    )
    assert [part.kind for part in made.parts] == ["onnx", "onnx"]
    assert made.checked is not None
    assert made.checked.equal == 60


@pytest.mark.parametrize(("family", "method"), [("classical", "tfidf"), ("causal_lm", "prompt")])
def test_what_cannot_be_converted_is_refused_before_anything_is_written(
    family: str, method: str, runs: Callable[[str], JobRun], tmp_path: Path
) -> None:
    run = runs(family)
    job = fitted(run, method, trial=30)
    with pytest.raises(UserError, match="cannot be converted") as refused:
        make_bundle(source_of_jobs(run, [job]), tmp_path / "bundle", "fp32")
    assert "convert_hf_to_gguf.py" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_log_probabilities_that_differ_end_the_export(runs: Callable[[str], JobRun], tmp_path: Path) -> None:
    run = runs("classical")
    source = source_of_jobs(run, [fitted(run, "tfidf", trial=32)])
    times = {"torch_ms": 2.0, "onnx_ms": 1.0, "torch_rows_per_s": 1.0, "onnx_rows_per_s": 2.0}
    figures = OnnxFigures(int8=False, threads=1, largest_difference=2e-4, bytes_before=1, bytes=1, **times)
    with pytest.raises(UserError, match=r"differ by up to 0\.0002"):
        check_onnx(source, tmp_path, DEVICES, [], figures)


def test_a_prompted_model_gets_the_commands_of_llama_cpp(runs: Callable[[str], JobRun], tmp_path: Path) -> None:
    run = runs("causal_lm")
    made: BundleDescription = make_bundle(source_of_jobs(run, [fitted(run, "prompt", trial=31)]), tmp_path / "bundle")
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert made.onnx is None
    assert "convert_hf_to_gguf.py model --outfile prompt-bf16.gguf" in card


def test_the_commands_say_what_they_do() -> None:
    help_text = " ".join(call("export", "--help").stdout.split())
    assert "--onnx" in help_text
    assert "edge" in help_text
