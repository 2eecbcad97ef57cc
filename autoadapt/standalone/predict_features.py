"""Answers by a linear classifier on the pooled states of a model; needs torch, transformers and safetensors."""

import inspect
import json
from pathlib import Path
from typing import Any

import torch
from predict_loading import batches, chosen_device, context_limit, load_model, load_tokenizer
from predict_states import Ids, Reader, answer_of
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
        encoder, tokenizer = option["model"]["family"] == "encoder", load_tokenizer(folder)
        self.device, knows_pairs = chosen_device(device), False
        if encoder:
            model = load_model(AutoModel, folder, option["precision"])
            if isinstance(getattr(model, "pooler", None), torch.nn.Module):
                model.pooler = torch.nn.Identity()
            takes_types = "token_type_ids" in inspect.signature(type(model).forward).parameters
            knows_pairs = takes_types and int(getattr(model.config, "type_vocab_size", 0) or 0) >= 2
        else:
            model = load_model(AutoModelForCausalLM, folder, option["precision"], attn_implementation="sdpa")
        limit = context_limit(model.config.to_dict(), tokenizer)
        self.reader = Reader(tokenizer, option["input_columns"], encoder, limit, knows_pairs)
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
        encoded = [self.reader.encode(text) for text in texts]
        answers: list[dict[str, Any]] = [{} for _ in texts]
        for batch in batches([len(ids) for ids, _ in encoded], self.device):
            logits = self._logits([encoded[i] for i in batch])
            numbers = (logits.sigmoid() if self.sets else logits.log_softmax(-1)).tolist()
            for i, row in zip(batch, numbers, strict=True):
                answers[i] = answer_of(self.labels, row, self.sets)
        return answers

    def _logits(self, encoded: list[Ids]) -> torch.Tensor:
        batch = {name: torch.tensor(rows).to(self.device) for name, rows in self.reader.padded(encoded).items()}
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
