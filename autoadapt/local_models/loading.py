"""Loading models of transformers: safetensors only, no remote code."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoTokenizer
from transformers.utils import logging

from autoadapt.model_files import NO_LIMIT, usable_positions

logging.disable_progress_bar()
logging.set_verbosity_error()


@dataclass
class LoadedModel:
    """A model with its tokenizer."""

    model: Any
    tokenizer: Any
    path: str
    device: torch.device
    context_length: int
    """Greatest number of tokens, prompt and answer together."""

    @property
    def parameters(self) -> int:
        """Number of weights, shared ones once."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def weight_bytes(self) -> int:
        """Bytes of its weights, shared ones once."""
        return sum(p.numel() * p.element_size() for p in self.model.parameters())

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


def load_tokenizer(path: str) -> Any:
    """The tokenizer of a model folder; one without a padding token pads with its end token."""
    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def load_model(auto_class: Any, path: str, dtype: torch.dtype, **options: Any) -> Any:
    """The model of a folder in host memory, in eval mode.

    Args:
        auto_class: of transformers, such as AutoModel.
        path: of the folder.
        dtype: of the weights.
        options: further arguments of `from_pretrained`.
    """
    model = auto_class.from_pretrained(
        path, dtype=dtype, use_safetensors=True, trust_remote_code=False, local_files_only=True, **options
    )
    return model.eval()


def context_limit(model: Any, tokenizer: Any) -> int:
    """Greatest number of tokens that model and tokenizer take; 10^6 where neither states a limit."""
    positions = usable_positions(model.config.to_dict()) or NO_LIMIT
    return min(positions, tokenizer.model_max_length if tokenizer.model_max_length < NO_LIMIT else NO_LIMIT)
