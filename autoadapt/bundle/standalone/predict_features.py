"""Answers by a linear classifier on the pooled states of a model; needs torch, transformers and safetensors."""

import inspect
import json
import math
from pathlib import Path
from typing import Any

import torch
from predict_loading import batches, chosen_device, context_limit, inert, load_model, load_tokenizer, start_ids
from safetensors import safe_open
from transformers import AutoModel, AutoModelForCausalLM


class Option:
    """A model with a classifier on its states.

    Args:
        folder: with the model, its tokenizer, head.safetensors and option.json.
        device: `cpu` or `cuda`; None: a GPU where there is one.
    """

    def __init__(self, folder: Path, device: str | None = None) -> None:
        option = json.loads((folder / "option.json").read_text(encoding="utf-8"))
        self.labels: list[str] = option["labels"]
        self.columns: list[str] = option["input_columns"]
        self.encoder = option["model"]["family"] == "encoder"
        self.device = chosen_device(device)
        self.tokenizer = load_tokenizer(folder)
        if self.encoder:
            model = load_model(AutoModel, folder, option["precision"])
            if isinstance(getattr(model, "pooler", None), torch.nn.Module):
                model.pooler = torch.nn.Identity()
            takes_types = "token_type_ids" in inspect.signature(type(model).forward).parameters
            self.knows_pairs = takes_types and int(getattr(model.config, "type_vocab_size", 0) or 0) >= 2
        else:
            model = load_model(AutoModelForCausalLM, folder, option["precision"], attn_implementation="sdpa")
        self.limit = context_limit(model, self.tokenizer)
        self.backbone = model.to(self.device).base_model
        with safe_open(folder / "head.safetensors", framework="pt") as file:
            described = file.metadata()
            self.head = {name: file.get_tensor(name).to(self.device) for name in file.keys()}  # noqa: SIM118
        self.pooling, self.unit = described["pooling"], described["unit"] == "1"
        self.sets = described.get("sets") == "1"
        self.layers = self._cut(model.config, float(described["depth"]))

    def _cut(self, config: Any, depth: float) -> int | None:
        """Leaves out the layers behind those that features are read from; gives how many stay where it could not."""
        layers = int(getattr(config, "num_hidden_layers", 0) or 0)
        if not layers or depth >= 1:
            return None
        count = max(1, int(layers * depth + 0.5))
        for owner in self.backbone.modules():
            for name, child in owner.named_children():
                if isinstance(child, torch.nn.ModuleList) and len(child) == layers:
                    setattr(owner, name, child[:count])
                    return None
        return count

    @torch.no_grad()
    def answer(self, texts: list[str]) -> list[dict[str, Any]]:
        """Answers with their confidences, and the log-probability of every label where one label is chosen."""
        encoded = [self._encode(text) for text in texts]
        answers: list[dict[str, Any]] = [{} for _ in texts]
        for batch in batches([len(ids) for ids, _ in encoded], self.device):
            logits = self._logits([encoded[i] for i in batch])
            numbers = (logits.sigmoid() if self.sets else logits.log_softmax(-1)).tolist()
            for i, row in zip(batch, numbers, strict=True):
                answers[i] = self._set(row) if self.sets else self._label(row)
        return answers

    def _encode(self, text: str) -> tuple[list[int], list[int] | None]:
        if not self.encoder:
            raw = self.tokenizer(inert(text, self.tokenizer), add_special_tokens=False)["input_ids"]
            ids = start_ids(self.tokenizer) + list(raw)
            return (ids or [self.tokenizer.pad_token_id])[: self.limit], None
        parts = self._parts(text)
        parts = [inert(part, self.tokenizer) for part in (parts if len(parts) == 2 else [text])]
        asked = {"return_token_type_ids": self.knows_pairs}
        tokens = dict(self.tokenizer(*parts, **asked))
        if len(tokens["input_ids"]) > self.limit:
            tokens = dict(self.tokenizer(*parts, **asked, truncation=True, max_length=self.limit))
        return list(tokens["input_ids"]), tokens.get("token_type_ids")

    def _parts(self, text: str) -> list[str]:
        """The texts that an input of several columns was joined from."""
        parts, rest = [], f"\n{text}"
        for i, column in enumerate(self.columns):
            head = f"\n{column}: "
            if not rest.startswith(head):
                return [text]
            rest = rest[len(head) :]
            end = rest.find(f"\n{self.columns[i + 1]}: ") if i + 1 < len(self.columns) else len(rest)
            if end < 0:
                return [text]
            parts.append(rest[:end])
            rest = rest[end:]
        return parts or [text]

    def _logits(self, encoded: list[tuple[list[int], list[int] | None]]) -> torch.Tensor:
        width, pad = max(len(ids) for ids, _ in encoded), self.tokenizer.pad_token_id
        batch = {
            "input_ids": torch.tensor([[*ids, *[pad] * (width - len(ids))] for ids, _ in encoded]),
            "attention_mask": torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in encoded]),
        }
        types = [types for _, types in encoded if types is not None]
        if len(types) == len(encoded):
            batch["token_type_ids"] = torch.tensor([[*row, *[0] * (width - len(row))] for row in types])
        batch = {name: value.to(self.device) for name, value in batch.items()}
        out = self.backbone(**batch, output_hidden_states=self.layers is not None)
        hidden = out.last_hidden_state if self.layers is None else out.hidden_states[self.layers]
        features = self._pooled(hidden, batch["attention_mask"])
        if self.unit:
            features = torch.nn.functional.normalize(features, dim=-1)
        weight, bias = self.head["linear.weight"], self.head["linear.bias"]
        scaled = ((features - self.head["mean"]) * self.head["scale"]).to(weight.dtype)
        return torch.nn.functional.linear(scaled, weight, bias).float()

    def _pooled(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self.pooling == "cls":
            return hidden[:, 0].float()
        if self.pooling == "last":
            return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(-1) - 1].float()
        weights = mask[..., None].float()
        return (hidden.float() * weights).sum(1) / weights.sum(1)

    def _label(self, log_probs: list[float]) -> dict[str, Any]:
        best = max(range(len(self.labels)), key=lambda k: log_probs[k])
        return {"answer": self.labels[best], "confidence": math.exp(log_probs[best]), "log_probs": log_probs}

    def _set(self, probabilities: list[float]) -> dict[str, Any]:
        chosen = [label for label, p in zip(self.labels, probabilities, strict=True) if p >= 0.5]
        confidence = math.prod(max(p, 1 - p) for p in probabilities)
        return {"answer": " | ".join(sorted(chosen)), "confidence": confidence, "log_probs": []}
