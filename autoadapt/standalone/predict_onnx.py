"""Answers by a linear classifier on the states of a model in ONNX; torch is not needed.

It needs onnxruntime, numpy and safetensors, and of transformers the tokenizer.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from predict_loading import batches, context_limit, load_tokenizer
from predict_states import Ids, Reader, answer_of
from safetensors import safe_open

Floats = NDArray[np.floating[Any]]


class Option:
    """A model in ONNX with a classifier on its states.

    Args:
        folder: with model.onnx, its config.json, the tokenizer, head.safetensors and option.json.
        device: `cpu` or `cuda`, which needs onnxruntime-gpu; None: the CPU.
        threads: of the CPU; None: as the environment variable OMP_NUM_THREADS says, else one for each core.
    """

    def __init__(self, folder: Path, device: str | None = None, threads: int | None = None) -> None:
        option = json.loads((folder / "option.json").read_text(encoding="utf-8"))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.labels: list[str] = option["labels"]
        self.device = device or "cpu"
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads or int(os.environ.get("OMP_NUM_THREADS") or 0)  # 0: one for each core
        provider = "CUDAExecutionProvider" if self.device == "cuda" else "CPUExecutionProvider"
        self.session = onnxruntime.InferenceSession(folder / "model.onnx", settings, providers=[provider])
        self.inputs = {given.name for given in self.session.get_inputs()}
        tokenizer = load_tokenizer(folder)
        knows_pairs = "token_type_ids" in self.inputs and int(config.get("type_vocab_size") or 0) >= 2
        encoder = option["model"]["family"] == "encoder"
        limit = context_limit(config, tokenizer)
        self.reader = Reader(tokenizer, option["input_columns"], encoder, limit, knows_pairs)
        with safe_open(folder / "head.safetensors", framework="np") as file:
            described = file.metadata()
            self.head: dict[str, Floats] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        self.pooling, self.unit = described["pooling"], described["unit"] == "1"
        self.sets = described.get("sets") == "1"

    def answer(self, texts: list[str]) -> list[dict[str, Any]]:
        """Answers with their confidences, and the log-probability of every label where one label is chosen."""
        encoded = [self.reader.encode(text) for text in texts]
        answers: list[dict[str, Any]] = [{} for _ in texts]
        for batch in batches([len(ids) for ids, _ in encoded], self.device):
            logits = self._logits([encoded[i] for i in batch])
            for i, row in zip(batch, self._numbers(logits).tolist(), strict=True):
                answers[i] = {**answer_of(self.labels, row, self.sets), "tokens_in": len(encoded[i][0])}
        return answers

    def _numbers(self, logits: Floats) -> Floats:
        if self.sets:
            return 1 / (1 + np.exp(-logits))
        shifted = logits - logits.max(axis=-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))

    def _logits(self, encoded: list[Ids]) -> Floats:
        batch = {name: np.array(rows, dtype=np.int64) for name, rows in self.reader.padded(encoded).items()}
        if "token_type_ids" in self.inputs:
            batch.setdefault("token_type_ids", np.zeros_like(batch["input_ids"]))
        given = {name: rows for name, rows in batch.items() if name in self.inputs}
        features = self._pooled(self.session.run(["last_hidden_state"], given)[0], batch["attention_mask"])
        if self.unit:
            features = features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-12)
        scaled = (features - self.head["mean"]) * self.head["scale"]
        return scaled @ self.head["linear.weight"].T + self.head["linear.bias"]

    def _pooled(self, hidden: Floats, mask: NDArray[np.int64]) -> Floats:
        if self.pooling == "cls":
            return hidden[:, 0]
        if self.pooling == "last":
            return hidden[np.arange(len(hidden)), mask.sum(-1) - 1]
        weights = mask[..., None].astype(np.float32)
        return (hidden * weights).sum(1) / weights.sum(1)
