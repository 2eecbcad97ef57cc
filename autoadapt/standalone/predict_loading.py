"""Loading models and tokenizers of transformers, and batches of token ids: what answers by a model share."""

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

TOKENS_PER_BATCH = {"cpu": 4096, "cuda": 65536}
ROWS_PER_BATCH = {"cpu": 32, "cuda": 256}
MOST_PADDING, FULL_TOKENS = {"cpu": 0.04, "cuda": 1.0}, 256
"""Padding as a share of a batch's own tokens, once it has so many."""
NO_LIMIT = 10**6
BEHIND_PADDING = ["camembert", "data2vec-text", "ibert", "longformer", "mpnet", "roberta", "roberta-prelayernorm"]
BEHIND_PADDING += ["xlm-roberta", "xlm-roberta-xl", "xmod"]
"""Types of models that count positions from behind the padding token's number."""


def chosen_device(device: str | None) -> str:
    """The device asked for, or a GPU where there is one."""
    import torch

    return device or ("cuda" if torch.cuda.is_available() else "cpu")


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder; one without a padding token pads with its end token."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def load_model(kind: Any, folder: Path, precision: str, **options: Any) -> Any:
    """The model of a folder in the precision in which the option was measured."""
    import torch

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, local_files_only=True, **options).eval()


def context_limit(config: dict[str, Any], tokenizer: Any) -> int:
    """Greatest number of tokens that a model of this configuration and its tokenizer take."""
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions <= 0:
        positions = NO_LIMIT
    elif config.get("model_type") in BEHIND_PADDING and isinstance(config.get("pad_token_id"), int):
        positions -= config["pad_token_id"] + 1
    return min(positions, tokenizer.model_max_length if tokenizer.model_max_length < NO_LIMIT else NO_LIMIT)


def inert(text: str, tokenizer: Any) -> str:
    """Text in which no special token is left whole, so that a row cannot act as an instruction."""
    for token in tokenizer.all_special_tokens:
        if len(token.strip()) > 1 and token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def start_ids(tokenizer: Any) -> list[int]:
    """What the tokenizer puts before every text; some have a start token and do not use it."""
    first = tokenizer("a")["input_ids"][:1]
    return list(first) if first == [tokenizer.bos_token_id] else []


def batches(
    lengths: list[int], device: str, written: int = 0, known: int = 0, generates: bool = False
) -> list[list[int]]:
    """Numbers of texts in batches of similar length."""
    done: list[list[int]] = [[]]
    tokens = 0
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        size = max(1, lengths[i] - known) + written
        rows, together = len(done[-1]) + 1, (len(done[-1]) + 1) * size
        padded = not generates and tokens >= FULL_TOKENS and together - tokens - size > MOST_PADDING[device] * tokens
        if done[-1] and (padded or rows > ROWS_PER_BATCH[device] or together > TOKENS_PER_BATCH[device]):
            done.append([])
            tokens = 0
        done[-1].append(i)
        tokens += size
    return done if lengths else []
