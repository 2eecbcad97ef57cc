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


TEACHER_ROWS = "teacher_rows"


class LearningParams(StrictModel):
    """What every method has that learns from rows."""

    teacher_rows: int = Field(default=0, ge=0)
    """Rows of `data.unlabelled` that it learns from too, by the labels that the best prompt has given them during the
    search. Searched where the task has such rows alone."""


class PromptedParams(StrictModel):
    """The prompt of a model that reads prompts; other models are given the input alone."""

    template: str = ""
    """Name of a prompt template of the search space; absent for a model that reads no prompts."""
    instruction: str = "none"
    """Name of an instruction of the search space; absent for a template of the prompt library, which has its own, and
    with a slot above 0, whose instruction is used instead."""
    slot: int = Field(default=0, ge=0)
    """Where the instruction comes from: 0, from `instruction` or the template; above 0, from the slot of that number,
    which a proposer has filled during the search. Searched with `proposer` in the task alone."""


class DecodingParams(StrictModel):
    """How an answer is read off a model that is prompted."""

    label_score: Literal["sum", "mean", "calibrated"] = "sum"
    """Labels: log-likelihood summed over tokens, its mean, or the sum less that after an input without content
    (contextual calibration, Zhao et al. 2021). Behind a server that gives probabilities of labels (`label_way` logprobs
    or decisions), `calibrated` does the same with these."""
    num_beams: int = Field(default=1, ge=1, le=16)
    """Free text: 1 is greedy decoding, more is beam search; not with a temperature."""
    label_way: Literal["auto", "schema", "logprobs", "decisions", "text"] = "auto"
    """Labels, models behind a server: by a schema that allows labels alone, by the log-probabilities of option letters,
    by a typed question (decisions), or by free text in which a label is looked for; auto: the first that works."""
    reasoning: Literal["none", "steps"] = "none"
    """steps: the model writes its reasoning and then the answer (chain of thought, Wei et al. 2022; without examples of
    reasoning, Kojima et al. 2022). Models on this machine then score every label behind what they wrote; of a server's
    text, what follows the last ``Answer:`` counts. Few-shot examples stay answers without reasoning."""
    reasoning_tokens: int = Field(default=128, ge=8, le=8192)
    """Longest reasoning of `reasoning: steps`, in tokens."""
    samples: int = Field(default=1, ge=1, le=64)
    """Answers drawn for each input at `temperature`; the one that most of them agree on is given, or, where each gives
    probabilities of labels, the one of the greatest mean (self-consistency, Wang et al. 2023)."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """0: always the most probable token; more: tokens are drawn, from probabilities flattened by so much."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Drawn tokens are among the most probable ones that have this probability together."""
    stop: str = "auto"
    """Free text: where an answer ends unless the model ends it: `none`, at a `line` break, at a `blank_line`, or at any
    other text that stands here; auto: at a blank line, where the model has no chat template or reasons, else none."""
    logit_bias: float = Field(default=0.0, ge=0, le=100)
    """Models behind a server, `label_way: logprobs`: added to the logits of the option letters, so that a letter is
    answered and all of them have probabilities; for servers that tell their tokens (``/tokenize``)."""
    reasoning_effort: str = ""
    """Models behind a server: how much a model that reasons unasked shall do so; empty: as its settings say."""


class TunedParams(PromptedParams, LearningParams):
    """Parameters of the training loop, with the names transformers uses."""

    effects: ClassVar[Effects] = {
        "learning_rate": QUALITY_ALONE,
        "warmup_ratio": QUALITY_ALONE,
        "weight_decay": QUALITY_ALONE,
        "num_train_epochs": TRAINING,
        "batch_size": TRAINING,
        TEACHER_ROWS: TRAINING,
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


class HeadParams(LearningParams):
    """A logistic regression on frozen features of a model."""

    effects: ClassVar[Effects] = {"scaling": TRAINING, "C": TRAINING, TEACHER_ROWS: TRAINING}

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


class WordParams(LearningParams):
    """Parameters of models of words; the most frequent answer needs none of them."""

    effects: ClassVar[Effects] = {"C": TRAINING, TEACHER_ROWS: frozenset({"training", "answering", "artifact"})}

    units: Literal["words", "characters", "both"] = "both"
    """What is counted: single words and pairs of words, or two to five characters within words, or both."""
    classifier: Literal["logistic_regression", "linear_svm"] = "logistic_regression"
    """Labels: what is fitted to the counts."""
    C: float = Field(default=10.0, gt=0, le=1e6)
    """Inverse of the strength of L2 regularisation, as scikit-learn calls it."""
