"""Log-likelihoods of labels behind prompts.

The tokens that all prompts share (instruction, fixed examples) are computed once and kept. A batch of prompts is run
behind them, left-padded. Then all labels are scored in one forward pass: they stand behind the prompt one after the
other, and a tree mask lets each token see the prompt and its own label only, so that the prompt's keys and values are
neither copied nor computed again for each label (the token-tree mask of SpecInfer, Miao et al. 2023).

Layers that see a window of the last tokens alone keep no more keys than that, and count places, not positions: padding
between a kept beginning and a prompt would push keys out of the window. Prompts that do not fit into it are computed
whole, once for each label where a label has several tokens.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from autoadapt.local_models.texts import Encoded
from autoadapt.models.causal_lm.language_model import LanguageModel
from autoadapt.prompts.rendering import common_prefix

LEAST_SHARED = 2
"""Tokens from which a shared beginning is kept computed."""
NOT_OFFERED = float("-inf")
"""Score of a label that a prompt does not offer."""


class LabelScorer:
    """Scores labels behind prompts of one model.

    Args:
        lm: the model.
        labels: token ids of every label.
    """

    def __init__(self, lm: LanguageModel, labels: Sequence[list[int]]) -> None:
        self.lm, self.labels = lm, list(labels)
        self.prefix: list[int] = []
        """Tokens whose keys and values are kept."""
        self._cache: Any = None
        layers = DynamicCache(config=lm.model.config).layers
        self._window = min(
            (one.sliding_window for one in layers if isinstance(one, DynamicSlidingWindowLayer)), default=None
        )
        """Tokens that the layer which sees least of them sees; None: all see all."""

    def keep_shared(self, prompts: Sequence[list[int]]) -> None:
        """Keeps the keys and values of the tokens with which all prompts begin, if they are worth it."""
        self.forget()
        if not self._fit_window(prompts):
            return
        shared = common_prefix(prompts) if prompts else []
        shared = shared[: min((len(ids) for ids in prompts), default=0) - 1]
        if len(shared) >= LEAST_SHARED:
            batch = torch.tensor([shared], device=self.lm.device)
            self._cache = self.lm.model(input_ids=batch, use_cache=True, **self._last_alone).past_key_values
            self.prefix = shared

    def forget(self) -> None:
        """Forgets what was kept."""
        self.prefix, self._cache = [], None

    @property
    def _last_alone(self) -> dict[str, int]:
        """Asks a model for the logits of the last token alone, where it can give these."""
        return {"logits_to_keep": 1} if self.lm.keeps_logits else {}

    def scores(self, encoded: Sequence[Encoded], offered: Sequence[Sequence[int]] | None = None) -> torch.Tensor:
        """Summed log-likelihood of labels behind prompts: shape (rows, labels).

        Args:
            encoded: prompts.
            offered: numbers of the labels that are scored behind each; None: all of them. The score of any other label
                is `NOT_OFFERED`.
        """
        fits = self._fit_window([e.ids for e in encoded])
        if not fits and max(map(len, self.labels)) > 1:
            return self._whole_scores(encoded, offered)
        prefix = self.prefix
        if prefix and fits and all(e.ids[: len(prefix)] == prefix and len(e.ids) > len(prefix) for e in encoded):
            cache, suffixes = _repeated(self._cache, len(encoded)), [e.ids[len(prefix) :] for e in encoded]
        else:
            prefix, cache, suffixes = [], None, [e.ids for e in encoded]
        device = self.lm.device
        ids, mask, positions = self._padded(suffixes, len(prefix))
        scored = [list(range(len(self.labels)))] if offered is None else [list(row) for row in offered]
        most = max(len(self.labels[k]) for row in scored for k in row)
        out = self.lm.model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            past_key_values=cache,
            use_cache=most > 1 or cache is not None,
            **self._last_alone,
        )
        first = out.logits[:, -1].float().log_softmax(-1)
        scores = first[:, torch.tensor([i[0] for i in self.labels], device=device)]
        if most > 1:
            scores = scores + self._tail_scores(out.past_key_values, mask, positions[:, -1] + 1, scored)
        if offered is None:
            return scores
        places = torch.full(scores.shape, NOT_OFFERED)
        for i, row in enumerate(scored):
            places[i, row] = 0.0
        return scores + places.to(device)

    def _fit_window(self, prompts: Sequence[list[int]]) -> bool:
        """Whether every layer sees all of each prompt and of a label behind it."""
        longest = max(map(len, prompts), default=0) + max(map(len, self.labels))
        return self._window is None or longest < self._window

    def _padded(self, texts: Sequence[list[int]], kept: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Token ids of texts, padded at their beginnings, their mask and their positions, behind so many kept tokens.

        Returns:
            Ids and positions have the shape (texts, longest), the mask (texts, kept + longest).
        """
        width = max(map(len, texts))
        ids = torch.full((len(texts), width), self.lm.tokenizer.pad_token_id, dtype=torch.long)
        mask = torch.zeros(len(texts), kept + width, dtype=torch.long)
        mask[:, :kept] = 1
        for i, row in enumerate(texts):
            ids[i, width - len(row) :] = torch.tensor(row)
            mask[i, kept + width - len(row) :] = 1
        lengths = torch.tensor([len(row) for row in texts])
        return ids, mask, (torch.arange(width)[None, :] - (width - lengths)[:, None]).clamp(min=0) + kept

    def _whole_scores(self, encoded: Sequence[Encoded], offered: Sequence[Sequence[int]] | None) -> torch.Tensor:
        """The scores by a pass over whole prompts for each label; arguments and shape as of `scores`."""
        scores = torch.full((len(encoded), len(self.labels)), NOT_OFFERED, device=self.lm.device)
        for k, label in enumerate(self.labels):
            rows = [i for i in range(len(encoded)) if offered is None or k in offered[i]]
            if not rows:
                continue
            ids, mask, positions = self._padded([encoded[i].ids + label[:-1] for i in rows], 0)
            logits = self.lm.model(
                input_ids=ids.to(self.lm.device),
                attention_mask=mask.to(self.lm.device),
                position_ids=positions.to(self.lm.device),
                use_cache=False,
                **({"logits_to_keep": len(label)} if self.lm.keeps_logits else {}),
            ).logits[:, -len(label) :]
            log_probs = logits.float().log_softmax(-1)
            wanted = torch.tensor(label, device=self.lm.device).expand(len(rows), -1)
            scores[rows, k] = log_probs.gather(-1, wanted[..., None])[..., 0].sum(-1)
        return scores

    def _tail_scores(
        self, cache: Any, mask: torch.Tensor, starts: torch.Tensor, scored: Sequence[Sequence[int]]
    ) -> torch.Tensor:
        """Log-likelihood of labels' tokens after their first, by one pass over the labels of a row side by side.

        Args:
            cache: keys and values of the prompts.
            mask: which of them are real, shape (rows, keys).
            starts: position of each prompt's next token, shape (rows,).
            scored: numbers of the labels of each row, or once for all rows.
        """
        device, rows = self.lm.device, mask.shape[0]
        tails = [self._side_by_side(row) for row in scored]
        width = max(len(tail[0]) for tail in tails)
        # what fills up a row belongs to no label; it sees the prompt, and is counted nowhere
        fed, targets, owner, depth = (
            torch.tensor([column + [fill] * (width - len(column)) for column in columns])
            for columns, fill in zip(zip(*tails, strict=True), (0, 0, -1, 0), strict=True)
        )
        tree = (owner[:, :, None] == owner[:, None, :]) & torch.ones(width, width, dtype=torch.bool).tril()
        allowed = torch.cat([mask.bool()[:, None, :].expand(rows, width, -1), tree.expand(rows, -1, -1)], dim=-1)
        logits = self.lm.model(
            input_ids=fed.expand(rows, -1).to(device),
            attention_mask=allowed[:, None].to(device),
            position_ids=(starts[:, None] + depth).to(device),
            past_key_values=cache,
            use_cache=True,
        ).logits.float()
        target = targets.expand(rows, -1).to(device)
        # log-softmax of the target tokens only: the full table would be rows x tokens x vocabulary
        token = logits.gather(-1, target[..., None])[..., 0] - logits.logsumexp(-1)
        token = token * (owner >= 0).to(device)
        sums = torch.zeros(rows, len(self.labels), device=device)
        return sums.scatter_add(1, owner.clamp(min=0).expand(rows, -1).to(device), token)

    def _side_by_side(self, labels: Sequence[int]) -> tuple[list[int], list[int], list[int], list[int]]:
        """Tokens that are fed, those that should follow them, their labels, and their places within these."""
        fed = [t for k in labels for t in self.labels[k][:-1]]
        targets = [t for k in labels for t in self.labels[k][1:]]
        owner = [k for k in labels for _ in self.labels[k][:-1]]
        depth = [j for k in labels for j in range(len(self.labels[k]) - 1)]
        return fed, targets, owner, depth


def _repeated(cache: Any, rows: int) -> Any:
    """A cache of one text for a batch of rows; the kept one stays as it is.

    Layers that grow by concatenation leave the tensors that they had untouched, so that these may be views of what was
    kept, one for all rows.
    """
    if not all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers):
        cache = copy.deepcopy(cache)
        cache.batch_repeat_interleave(rows)
        return cache
    repeated = copy.copy(cache)
    repeated.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in repeated.layers:
        layer.keys, layer.values = layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1)
    return repeated
