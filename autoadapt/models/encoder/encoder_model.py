"""Loading encoders, and token ids of their inputs."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModel

from autoadapt.domain.rows import input_parts
from autoadapt.local_models.loading import LoadedModel, context_limit, load_model, load_tokenizer
from autoadapt.local_models.texts import Encoded, inert

PAIR = 2


@dataclass
class EncoderModel(LoadedModel):
    """An encoder with its tokenizer."""

    knows_pairs: bool
    """Whether it is told which of two texts each token belongs to."""


def load(path: str, accelerator: str, dtype: torch.dtype = torch.float32, on_host: bool = False) -> EncoderModel:
    """Loads a model folder, its weights in `dtype`; a pooler, whose output nothing uses, is left out.

    The context is that of position embeddings and tokenizer. For all-MiniLM-L6-v2 it is 512 tokens: its authors cut
    texts at 256, but its 512 positions were all trained before, and what is cut off is lost.
    """
    device = torch.device(accelerator)
    tokenizer = load_tokenizer(path)
    model = load_model(AutoModel, path, dtype)
    if isinstance(getattr(model, "pooler", None), torch.nn.Module):
        model.pooler = torch.nn.Identity()
    if not on_host:
        model = model.to(device)
    takes_types = "token_type_ids" in inspect.signature(type(model).forward).parameters
    knows_pairs = takes_types and int(getattr(model.config, "type_vocab_size", 0) or 0) >= PAIR
    return EncoderModel(model, tokenizer, path, device, context_limit(model, tokenizer), knows_pairs)


def input_reader(lm: EncoderModel, columns: Sequence[str]) -> Callable[[str], Encoded]:
    """A function that gives token ids of an input; two columns are read as a pair of texts.

    What does not fit the context is cut off the end, of a pair off the longer text. Inputs of three or more columns are
    read as one text.

    Args:
        lm: the encoder.
        columns: that inputs were joined from.
    """

    def read(text: str) -> Encoded:
        parts = input_parts(columns, text)
        parts = [inert(part, lm.tokenizer) for part in (parts if len(parts) == PAIR else [text])]
        ids = _tokens(lm, parts)["input_ids"]
        truncated = len(ids) > lm.context_length
        encoded = _tokens(lm, parts, truncation=True, max_length=lm.context_length) if truncated else _tokens(lm, parts)
        return Encoded(list(encoded["input_ids"]), truncated, encoded.get("token_type_ids"))

    return read


def _tokens(lm: EncoderModel, parts: Sequence[str], **options: Any) -> dict[str, Any]:
    return dict(lm.tokenizer(*parts, return_token_type_ids=lm.knows_pairs, **options))
