"""Loading causal language models."""

import inspect
from dataclasses import dataclass

import torch
from transformers import AutoModelForCausalLM

from autoadapt.local_models.loading import LoadedModel, context_limit, load_model, load_tokenizer


@dataclass
class LanguageModel(LoadedModel):
    """A causal language model with its tokenizer."""

    keeps_logits: bool
    """Whether its forward can compute the last positions' logits alone."""

    @property
    def chats(self) -> bool:
        """Whether it has a chat template."""
        return bool(getattr(self.tokenizer, "chat_template", None))


def load(path: str, accelerator: str, dtype: torch.dtype = torch.float32, on_host: bool = False) -> LanguageModel:
    """Loads a model folder, its weights in `dtype`.

    With `on_host` the weights stay in host memory, for DeepSpeed to place: under ZeRO-3 no device holds them all.
    """
    device = torch.device(accelerator)
    tokenizer = load_tokenizer(path)
    tokenizer.padding_side = "left"
    model = load_model(AutoModelForCausalLM, path, dtype, attn_implementation="sdpa")
    if not on_host:
        model = model.to(device)
    keeps = "logits_to_keep" in inspect.signature(type(model).forward).parameters
    return LanguageModel(model, tokenizer, path, device, context_limit(model, tokenizer), keeps)
