"""What the tasks over all families are drawn from: models, seconds, ceilings of quality, and the nature of an instance."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from autoadapt.domain.model import Capabilities

PREFIX = "families-"
BUDGETS = (5, 10, 20)
"""In full trials; a problem's name ends with one of them."""
SLOTS = 2
WORDS, ENCODER, CAUSAL, HOSTED = "classical", "encoder", "causal", "hosted"
MODELS = (ENCODER, CAUSAL, HOSTED, WORDS)
FAMILIES = {WORDS: "classical", ENCODER: "encoder", CAUSAL: "causal_lm", HOSTED: "remote"}
CONTEXT = {CAUSAL: 512, HOSTED: 32_000}
CAPABILITIES: Mapping[str, Capabilities] = {
    WORDS: Capabilities(generates=True, scores_labels=True, answers_label_sets=True, counts_words=True),
    ENCODER: Capabilities(scores_labels=True, embeds=True, trains=True, adapters=True, parameters=22_000_000),
    CAUSAL: Capabilities(
        generates=True, scores_labels=True, reads_prompts=True, embeds=True, trains=True, adapters=True,
        context_length=CONTEXT[CAUSAL], parameters=17_000_000,
    ),
    HOSTED: Capabilities(
        generates=True, scores_labels=True, reads_prompts=True, remote=True, context_length=CONTEXT[HOSTED]
    ),
}  # fmt: skip
METHODS_SEARCHED = ("majority", "tfidf", "prompt", "head", "lora", "full")
TRAINED = ("lora", "full")
Arm = tuple[str, str]
"""A method and a model."""
SECONDS: Mapping[Arm, tuple[float, float]] = {
    ("majority", WORDS): (0.2, 0.4),
    ("tfidf", WORDS): (1.0, 2.0),
    ("head", ENCODER): (1.5, 3.0),
    ("head", CAUSAL): (2.0, 4.0),
    ("prompt", CAUSAL): (5.0, 10.0),
    ("lora", ENCODER): (15.0, 30.0),
    ("full", ENCODER): (25.0, 50.0),
    ("lora", CAUSAL): (10.0, 40.0),
    ("full", CAUSAL): (10.0, 40.0),
    ("prompt", HOSTED): (20.0, 60.0),
}
"""Of a trial with the method's default on 600 short rows, least and greatest."""
LONGER: Mapping[Arm, float] = {
    ("majority", WORDS): 1.0,
    ("tfidf", WORDS): 3.0,
    ("head", ENCODER): 6.0,
    ("head", CAUSAL): 6.0,
    ("prompt", CAUSAL): 5.0,
    ("prompt", HOSTED): 1.3,
}
"""Times as long with long texts; 10 for trained methods."""
LATENCY_MS: Mapping[str, float] = {WORDS: 1.2, ENCODER: 6.0, CAUSAL: 14.0, HOSTED: 700.0}
WINNERS = (ENCODER, CAUSAL, HOSTED, ENCODER, WORDS, ENCODER, HOSTED, ENCODER, CAUSAL, ENCODER)
"""By the last digit of the instance, so that any few instances hold several."""
LONG, TINY = (1, 4, 9), 6
"""Last digits of instances with long texts, and of those with twelve training rows."""
GAPS: Mapping[str, Mapping[Arm, tuple[float, float]]] = {
    ENCODER: {
        ("lora", ENCODER): (0.0, 0.02), ("full", ENCODER): (0.0, 0.02), ("head", ENCODER): (0.02, 0.11),
        ("lora", CAUSAL): (0.03, 0.12), ("full", CAUSAL): (0.03, 0.12), ("head", CAUSAL): (0.10, 0.25),
        ("tfidf", WORDS): (0.06, 0.18), ("prompt", CAUSAL): (0.25, 0.6), ("prompt", HOSTED): (0.04, 0.25),
    },
    CAUSAL: {
        ("lora", ENCODER): (0.03, 0.09), ("full", ENCODER): (0.03, 0.09), ("head", ENCODER): (0.06, 0.16),
        ("lora", CAUSAL): (0.0, 0.01), ("full", CAUSAL): (0.0, 0.04), ("head", CAUSAL): (0.08, 0.2),
        ("tfidf", WORDS): (0.10, 0.22), ("prompt", CAUSAL): (0.15, 0.45), ("prompt", HOSTED): (0.04, 0.18),
    },
    HOSTED: {
        ("lora", ENCODER): (0.03, 0.11), ("full", ENCODER): (0.03, 0.11), ("head", ENCODER): (0.08, 0.2),
        ("lora", CAUSAL): (0.05, 0.15), ("full", CAUSAL): (0.05, 0.15), ("head", CAUSAL): (0.12, 0.3),
        ("tfidf", WORDS): (0.12, 0.3), ("prompt", CAUSAL): (0.15, 0.45), ("prompt", HOSTED): (0.0, 0.0),
    },
    WORDS: {
        ("lora", ENCODER): (0.01, 0.06), ("full", ENCODER): (0.01, 0.06), ("head", ENCODER): (0.01, 0.05),
        ("lora", CAUSAL): (0.03, 0.1), ("full", CAUSAL): (0.03, 0.1), ("head", CAUSAL): (0.05, 0.2),
        ("tfidf", WORDS): (0.0, 0.0), ("prompt", CAUSAL): (0.25, 0.5), ("prompt", HOSTED): (0.05, 0.25),
    },
}  # fmt: skip
"""Of the quality between chance and the best: how much the best candidate of each arm lacks, by the family that wins."""
USD_PER_HOUR = 0.10
USD_PER_TOKEN = 0.25e-6
LIKE = {"nearest_embedding": "nearest", "diverse": "nearest", "hard": "balanced"}
"""Selector -> the one that it is like here; so instances are those of the results that are stored."""
SHOWS_LABELS = ("schema", "logprobs", "decisions")
"""Ways to ask a server that name the labels, whatever the instruction."""
MONEY_TRIALS = 15
"""Zero-shot trials of the hosted model that the budget's dollars pay for, per full trial of the budget."""
TEST_ROWS = 500
SHARED_DIFFICULTY = 0.6
"""Correlation of two candidates' normal scores on a row."""
LEAST_FULL_SECONDS = 20.0


@dataclass(frozen=True)
class Nature:
    """What is drawn of a task before its arms."""

    winner: str
    labels: int
    top: float
    """Quality of the best candidate there is."""
    long: bool
    train_rows: int
    rows: int
    """For validation."""
    surprise: Arm | None
    """Takes ten times what other arms would let one expect."""

    @property
    def chance(self) -> float:
        return 0.52 if self.labels == 2 else 1.3 / self.labels

    @property
    def text_tokens(self) -> int:
        return 300 if self.long else 30


def nature(instance: int) -> Nature:
    """The task of an instance."""
    r = np.random.default_rng([instance, 20_261])
    winner = WINNERS[instance % len(WINNERS)]
    tiny = instance % len(WINNERS) == TINY
    labels = 2 if tiny else int(r.choice([2, 6, 24, 77]))
    least, most = {2: (0.80, 0.95), 6: (0.78, 0.96), 24: (0.74, 0.93), 77: (0.70, 0.91)}[labels]
    arms = [(m, model) for m in TRAINED for model in (ENCODER, CAUSAL)]
    surprise = arms[int(r.integers(len(arms)))] if r.random() < 0.4 else None
    rows = 12 if tiny else 2000 if labels == 77 else int(r.choice([300, 600]))
    return Nature(
        winner=winner,
        labels=labels,
        top=float(r.uniform(least, most)),
        long=instance % len(WINNERS) in LONG,
        train_rows=rows,
        rows=int(r.integers(150, 201)),
        surprise=surprise,
    )
