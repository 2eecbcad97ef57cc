"""Loading causal language models: safetensors only, no remote code."""

import inspect
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
    return LanguageModel(model, tokenizer, path, device, limit, keeps)
