"""Loading causal language models: safetensors only, no remote code, one base model kept warm.

A worker answers many trials on the same base model, and loading it may cost more than a prompt trial. `borrow` hands
out the warm one (prompt, LoRA: they give it back as it was), `take` gives it away for good (full tuning changes it).
"""

import gc
import inspect
import time
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

logging.disable_progress_bar()
logging.set_verbosity_error()


@dataclass
class LanguageModel:
    """A model with its tokenizer."""

    model: Any
    tokenizer: Any
    path: str
    device: torch.device
    context_length: int
    """Greatest number of tokens, prompt and answer together."""
    keeps_logits: bool
    """Whether its forward can compute the last positions' logits alone."""

    @property
    def parameters(self) -> int:
        """Number of weights, shared ones once."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def start_ids(self) -> list[int]:
        """What this tokenizer puts before every text; some have a start token and do not use it."""
        first = self.tokenizer("a")["input_ids"][:1]
        return list(first) if first == [self.tokenizer.bos_token_id] else []


_warm: dict[tuple[str, torch.dtype], LanguageModel] = {}
loading = {"seconds": 0.0}
"""Seconds this process has spent loading models, for an honest account of overhead."""


def compute_dtype(precision: str, accelerator: str) -> torch.dtype:
    """What a model computes in: bf16 or fp32 as asked; `auto` is bf16 where this machine multiplies it natively."""
    if precision == "auto":
        if accelerator == "cuda":
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            able = torch.cpu.get_capabilities()
            native = bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"))
        precision = "bf16" if native else "fp32"
    return torch.bfloat16 if precision == "bf16" else torch.float32


def load(path: str, accelerator: str, dtype: torch.dtype = torch.float32, on_host: bool = False) -> LanguageModel:
    """Loads a model folder, its weights in `dtype`.

    With `on_host` the weights stay in host memory, for DeepSpeed to place: under ZeRO-3 no device holds them all.
    """
    start = time.perf_counter()
    device = torch.device(accelerator)
    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(
        path,
        dtype=dtype,
        attn_implementation="sdpa",
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
    )
    if not on_host:
        model = model.to(device)
    model.eval()
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    tokenizer.padding_side = "left"
    limit = min(
        getattr(model.config, "max_position_embeddings", None) or 10**6,
        tokenizer.model_max_length if tokenizer.model_max_length < 10**6 else 10**6,
    )
    keeps = "logits_to_keep" in inspect.signature(type(model).forward).parameters
    loading["seconds"] += time.perf_counter() - start
    return LanguageModel(model, tokenizer, path, device, limit, keeps)


def borrow(path: str, accelerator: str, dtype: torch.dtype = torch.float32) -> LanguageModel:
    """The warm model of that path, loaded if it is another; the borrower leaves its weights as they were."""
    if (path, dtype) not in _warm:
        drop()
        _warm[path, dtype] = load(path, accelerator, dtype)
    return _warm[path, dtype]


def take(path: str, accelerator: str, dtype: torch.dtype = torch.float32) -> LanguageModel:
    """A model whose weights the caller may change; the warm one is used up where it has the right precision."""
    warm = _warm.pop((path, dtype), None)
    if warm is not None:
        return warm
    drop()
    return load(path, accelerator, dtype)


def drop() -> None:
    """Forgets the warm model and frees its memory."""
    _warm.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
