"""Bytes of keys and values by formula against the cache tensors of real models."""

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MakeTask
from job_runs import DEVICES, JobRun, causal_lm
from transformers import AutoConfig, AutoModelForCausalLM

from autoadapt.domain.jobs import Fit
from autoadapt.forecast.memory import check_memory, memory_needs, need_bytes
from autoadapt.forecast.probing import first_candidates
from autoadapt.model_files import cached_numbers, read_config
from autoadapt.models.causal_lm import CausalLm, language_model
from autoadapt.models.causal_lm.lengths import largest_batch
from autoadapt.tasks.resolve import resolve
from autoadapt.worker.measuring import rows_of

SIZES = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
    "max_position_embeddings": 128, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GPT2 = {"vocab_size": 64, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 128}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "full heads": ("llama", {**SIZES, "num_key_value_heads": 4}),
    "grouped queries": ("llama", {**SIZES, "num_key_value_heads": 2}),
    "heads of another width": ("qwen3", {**SIZES, "num_key_value_heads": 1, "head_dim": 24}),
    "a sliding window": ("mistral", {**SIZES, "num_key_value_heads": 2, "sliding_window": 16}),
    "windows in some layers": ("gemma2", {**SIZES, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 16}),
    "a window that is not used": ("qwen2", {**SIZES, "num_key_value_heads": 2, "use_sliding_window": False}),
    "other names": ("gpt2", GPT2),
    "one head of keys": ("gpt_bigcode", {**GPT2, "multi_query": True}),
}


def cache_bytes(cache: Any) -> int:
    """Bytes of all keys and values."""
    return sum(t.numel() * t.element_size() for layer in cache.layers for t in (layer.keys, layer.values))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_formula_is_the_size_of_the_cache_tensors(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    name, settings = KINDS[kind]
    config = AutoConfig.for_model(name, **settings)
    config.save_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    with torch.no_grad():
        cache = model(input_ids=torch.ones(3, 40, dtype=torch.long), use_cache=True).past_key_values
    expected = 3 * cached_numbers(read_config(tmp_path), 40) * dtype.itemsize
    # a window keeps the tokens before the next one: 15 of 16
    least = 15 / 16 if "window" in kind and "not used" not in kind else 1.0
    assert least * expected <= cache_bytes(cache) <= expected


def test_seven_billion_weights_with_full_heads_keep_34_gb_at_65536_tokens() -> None:
    """They were 0 GB in the forecast."""
    config = {"num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32}
    assert 2 * cached_numbers(config, 65_536) == 34_359_738_368
    weights = 7 * 10**9
    without, with_cache = (need_bytes(weights, 0, 1, True, n) for n in (0, cached_numbers(config, 65_536)))
    assert with_cache - without == 34_359_738_368
    # full tuning needs more for training than for answering afterwards
    assert need_bytes(weights, weights, 1, True, cached_numbers(config, 65_536)) == int(16 * weights * 1.2)


@pytest.mark.parametrize(
    "params", [{"shots": 0}, {"shots": 8, "selector": "random"}, {"shots": 8, "selector": "nearest"}]
)
@pytest.mark.parametrize("text", [False, True])
def test_largest_batch_is_the_one_that_a_worker_answers(
    params: dict[str, Any], text: bool, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, sizes = JobRun(tmp_path / "run", causal_lm(tiny_model), text=text), [0]
    load = language_model.load

    def watched(*arguments: Any, **options: Any) -> Any:
        lm = load(*arguments, **options)
        lm.model.register_forward_hook(lambda model, given, out: sizes.append(cache_bytes(out.past_key_values)))
        return lm

    monkeypatch.setattr(language_model, "load", watched)
    job = jobs.fit("prompt", params=params)
    jobs.measure(job)
    splits = {split: rows_of(jobs.root, split) for split in ("train", "validation")}
    expected = 4 * CausalLm().cached_numbers(jobs.model, job, splits, DEVICES.accelerator)
    assert 0.85 * expected <= max(sizes) <= 1.15 * expected


def test_beams_keep_a_cache_each(tiny_model: Path, tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", causal_lm(tiny_model), text=True)

    def texts(job: Fit) -> int:
        return largest_batch(tiny_model, job, [], rows_of(jobs.root, "validation"), "cpu")[0]

    assert texts(jobs.fit("prompt", params={"num_beams": 3})) == 3 * texts(jobs.fit("prompt"))


def test_a_task_states_the_cache_of_its_prompts(make_real_task: MakeTask) -> None:
    resolved = resolve(make_real_task())
    candidates = first_candidates(resolved)
    prompt = next(c for c in candidates if c.method == "prompt")
    weights = need_bytes(resolved.capabilities[prompt.model].parameters, 0, 1, False)
    cached = 4 * max(resolved.cached_numbers(c, "cpu") for c in candidates if c.method == "prompt")
    assert cached > 0
    assert memory_needs(resolved, candidates)[0]["prompt", prompt.model] == weights + cached
    assert check_memory(resolved, candidates) == []
