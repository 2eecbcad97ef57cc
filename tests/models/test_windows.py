"""Label scores of models whose layers see a window of the last tokens alone, against one whole text at a time."""

import functools
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from autoadapt.local_models.texts import Encoded
from autoadapt.models.causal_lm.label_scoring import NOT_OFFERED, LabelScorer
from autoadapt.models.causal_lm.language_model import LanguageModel

SIZES = {
    "vocab_size": 96, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 7, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
PROMPTS = [[5, 6, 7, 8, 9], [5, 6, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31], [5, 6, 40], [5, 6, 7, 50, 51, 52]]
SHAPES = {
    "one token": [[10], [11], [12]],
    "several tokens": [[10, 11, 12], [13, 14]],
    "the same first token": [[10, 11], [10, 12], [10, 12, 13]],
    "one begins another": [[10], [10, 11], [10, 11, 12], [14]],
}


@functools.cache
def model_with_window(name: str, window: int, tokenizer: Path) -> LanguageModel:
    torch.manual_seed(0)
    config = AutoConfig.for_model(name, **SIZES, sliding_window=window)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
    loaded = AutoTokenizer.from_pretrained(tokenizer)
    return LanguageModel(model, loaded, str(tokenizer), torch.device("cpu"), 128, True)


def one_by_one(lm: LanguageModel, prompts: Sequence[list[int]], labels: Sequence[list[int]]) -> torch.Tensor:
    """Scores of whole texts, each alone, without a cache: shape (prompts, labels)."""
    scores = []
    for prompt in prompts:
        for label in labels:
            logits = lm.model(input_ids=torch.tensor([prompt + label]), use_cache=False).logits[0]
            chosen = logits.float().log_softmax(-1)[len(prompt) - 1 : len(prompt) + len(label) - 1]
            scores.append(sum(chosen[j, token].item() for j, token in enumerate(label)))
    return torch.tensor(scores).view(len(prompts), len(labels))


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("window", [4, 16, 17, 64])
@pytest.mark.parametrize("name", ["mistral", "gemma3_text"])
@torch.no_grad()
def test_scores_are_those_of_whole_texts_whatever_the_window(
    name: str, window: int, shape: str, kept: bool, tiny_model: Path
) -> None:
    lm = model_with_window(name, window, tiny_model)
    scorer = LabelScorer(lm, SHAPES[shape])
    if kept:
        scorer.keep_shared(PROMPTS)
        longest = max(map(len, PROMPTS)) + max(map(len, SHAPES[shape]))
        assert scorer.prefix == ([5, 6] if longest < window else [])
    expected = one_by_one(lm, PROMPTS, SHAPES[shape])
    together = scorer.scores([Encoded(ids, False) for ids in PROMPTS])
    alone = torch.cat([scorer.scores([Encoded(ids, False)]) for ids in PROMPTS])
    torch.testing.assert_close(together, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(alone, expected, atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_longer_prompt_than_those_for_which_a_beginning_was_kept_is_right(tiny_model: Path) -> None:
    lm = model_with_window("mistral", 12, tiny_model)
    for labels in SHAPES.values():
        scorer = LabelScorer(lm, labels)
        scorer.keep_shared([PROMPTS[0], PROMPTS[2]])
        assert scorer.prefix == [5, 6]
        scores = scorer.scores([Encoded(ids, False) for ids in PROMPTS])
        torch.testing.assert_close(scores, one_by_one(lm, PROMPTS, labels), atol=1e-4, rtol=0)


@torch.no_grad()
def test_labels_that_a_long_prompt_does_not_offer_have_no_score(tiny_model: Path) -> None:
    lm, labels = model_with_window("mistral", 8, tiny_model), SHAPES["one begins another"]
    offered = [[0, 2], [1, 3], [2, 3], [0, 1]]
    scores = LabelScorer(lm, labels).scores([Encoded(ids, False) for ids in PROMPTS], offered)
    expected = one_by_one(lm, PROMPTS, labels)
    for i, row in enumerate(offered):
        torch.testing.assert_close(scores[i, row], expected[i, row], atol=1e-4, rtol=0)
        assert all(scores[i, k] == NOT_OFFERED for k in range(len(labels)) if k not in row)
