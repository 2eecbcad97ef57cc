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


_warm: dict[str, LanguageModel] = {}
loading = {"seconds": 0.0}
"""Seconds this process has spent loading models, for an honest account of overhead."""


def load(path: str, accelerator: str, training: bool = False, on_host: bool = False) -> LanguageModel:
    """Loads a model folder: fp32 on CPU; on GPU bf16, or fp32 where all weights are to be trained under autocast.

    With `on_host` the weights stay in host memory, for DeepSpeed to place: under ZeRO-3 no device holds them all.
    """
    start = time.perf_counter()
    device = torch.device(accelerator)
    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    dtype = torch.bfloat16 if accelerator == "cuda" and not training else torch.float32
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


def borrow(path: str, accelerator: str) -> LanguageModel:
    """The warm model of that path, loaded if it is another; the borrower leaves its weights as they were."""
    if path not in _warm:
        drop()
        _warm[path] = load(path, accelerator)
    return _warm[path]


def take(path: str, accelerator: str, training: bool = False) -> LanguageModel:
    """A model whose weights the caller may change; the warm one is used up where it has the right precision.

    Args:
        path: model folder.
        accelerator: ``cpu`` or ``cuda``.
        training: whether all its weights will be trained (fp32 on GPU too).
    """
    warm = _warm.pop(path, None)
    if warm is not None and (accelerator == "cpu" or not training):
        return warm
    del warm
    drop()
    return load(path, accelerator, training)


def drop() -> None:
    """Forgets the warm model and frees its memory."""
    _warm.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
