"""Parameters from which the Params class of every method is built."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from autoadapt.domain.strict import StrictModel

Effect = Literal["training", "answering", "artifact"]
"""What a parameter can change beside quality: what training takes, what an answer takes, the size of the artifact."""
Effects = Mapping[str, frozenset[Effect]]
"""Parameter -> all that it can change beside quality. A Params class states them as `effects`, so that nothing else is
explained by the parameter; one that is absent can change everything."""
QUALITY_ALONE: frozenset[Effect] = frozenset()
TRAINING: frozenset[Effect] = frozenset({"training"})


class PromptedParams(StrictModel):
    """The prompt of a model that reads prompts; other models are given the input alone."""

    template: str = ""
    """Name of a prompt template of the search space; absent for a model that reads no prompts."""
    instruction: str = "none"
    """Name of an instruction of the search space; absent with a slot above 0, whose instruction is used instead."""
    slot: int = Field(default=0, ge=0)
    """Where the instruction comes from: 0, from `instruction`; above 0, from the slot of that number, which a proposer
    has filled during the search. Searched with `proposer` in the task alone."""


class TunedParams(PromptedParams):
    """Parameters of the training loop, with the names transformers uses."""

    effects: ClassVar[Effects] = {
        "learning_rate": QUALITY_ALONE,
        "warmup_ratio": QUALITY_ALONE,
        "weight_decay": QUALITY_ALONE,
        "num_train_epochs": TRAINING,
        "batch_size": TRAINING,
    }

    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    """Peak rate of AdamW; linear warm-up, linear decay to 0. LoRA needs about ten times the rate of full tuning."""
    num_train_epochs: int = Field(default=3, ge=1, le=1000)
    """Passes over the training rows."""
    batch_size: int = Field(default=16, ge=1, le=4096)
    """Rows per optimizer step, over all devices."""
    warmup_ratio: float = Field(default=0.0, ge=0, lt=1)
    """Share of the steps over which the rate rises from 0."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """AdamW's decoupled weight decay."""


MOST_PAIRS = 8000
"""Pairs of texts in a pass at most, so that contrastive training stays affordable with many rows: 16,000 texts, a few
minutes of a CPU core for MiniLM."""


class ContrastParams(TunedParams):
    """Training an encoder on pairs of rows, and the logistic regression on its features afterwards."""

    effects: ClassVar[Effects] = {**TunedParams.effects, "pairs_per_row": TRAINING, "C": TRAINING}

    learning_rate: float = Field(default=5e-5, gt=0, le=1)
    """Peak rate of AdamW; linear warm-up, linear decay to 0. It is lower than that of training with a classifier."""
    num_train_epochs: int = Field(default=1, ge=1, le=1000)
    """Passes over the pairs."""
    batch_size: int = Field(default=16, ge=1, le=4096)
    """Pairs per optimizer step."""
    pairs_per_row: int = Field(default=20, ge=1, le=1000)
    """Pairs that each training row begins, half of them with a row of its own label; at most 8,000 in all."""
    C: float = Field(default=10.0, gt=0, le=1e6)
    """Inverse of the strength of the logistic regression's L2 regularisation, as scikit-learn calls it."""


class HeadParams(StrictModel):
    """A logistic regression on frozen features of a model."""

    effects: ClassVar[Effects] = {"scaling": TRAINING, "C": TRAINING}

    pooling: Literal["mean", "cls", "last"] = "mean"
    """How the vectors of a text's tokens become one: their mean, the first one (encoders), or the last one (causal
    models)."""
    scaling: Literal["unit", "standard"] = "unit"
    """Every text's vector is scaled to length 1, or every feature to mean 0 and one deviation, such that vectors have a
    mean square of 1."""
    depth: float = Field(default=1.0, gt=0, le=1)
    """Share of the model's layers behind which its vectors are read; the others are not computed."""
    C: float = Field(default=10.0, gt=0, le=1e6)
    """Inverse of the strength of L2 regularisation, as scikit-learn calls it."""


WordModel = Literal["majority", "tfidf", "nearest"]
"""Models of words: the most frequent answer; TF-IDF with a linear classifier; the answer of the nearest row."""


class WordParams(StrictModel):
    """Parameters of models of words; the most frequent answer needs none of them."""

    effects: ClassVar[Effects] = {"C": TRAINING}

    units: Literal["words", "characters", "both"] = "both"
    """What is counted: single words and pairs of words, or two to five characters within words, or both."""
    classifier: Literal["logistic_regression", "linear_svm"] = "logistic_regression"
    """Labels: what is fitted to the counts."""
    C: float = Field(default=10.0, gt=0, le=1e6)
    """Inverse of the strength of L2 regularisation, as scikit-learn calls it."""
