"""Six made-up tasks over the default search space, on which a search can be run in virtual time.

A task says what every candidate would give: quality with a learning curve, seconds, latency. Its shape follows what is
known of the real thing: quality of a prompt rises with the model's size and with examples, and depends on its wording;
tuned quality is a ceiling of the arm and model, lost by a learning rate off its optimum (in log space, diverging far
above it), by too little rank or too few epochs, and by overfitting with many; slow rates learn late, so learning curves
cross; seconds grow with weights and tokens. Which arm wins differs by task. Nothing of it is fitted to a sampler.

    task = Task(TASKS[0], instance=0)         # instance: random effects of wording, optima, interactions
    task.answers(candidate, fidelity, seed)   # for autoadapt.forecast.simulation.simulate
    task.truth(candidate)                     # (quality, USD per 1,000 queries, latency in ms) without noise
"""

import hashlib
import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from family_natures import LIKE

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fidelity
from autoadapt.domain.task import Economics
from autoadapt.executors.replay import Simulated
from autoadapt.forecast.simulation import SimulatedTimes, simulated_answer
from autoadapt.pareto.dominance import non_dominated
from autoadapt.surrogates.features import Features
from autoadapt.tasks.space import load_space

MODELS = ("small", "medium", "large")
BILLIONS = {"small": 0.3, "medium": 1.5, "large": 7.0}
USD_PER_HOUR = 2.0
ROWS = 200
TEXT_TOKENS, SHOT_TOKENS = 60, 55
LOADING_SECONDS = {"small": 3.0, "medium": 6.0, "large": 15.0}


@dataclass(frozen=True)
class Shape:
    """What a task is like; qualities by model, small to large."""

    name: str
    wins: str
    chance: float
    zero_shot: tuple[float, float, float]
    shots_add: float
    """What very many fitting examples add."""
    wording: float
    """Standard deviation of the effect of template and instruction on prompts."""
    lora: tuple[float, float, float]
    """Quality at the best setting."""
    full: tuple[float, float, float]
    train_rows: int
    overfits: float
    """Quality lost per doubling of epochs beyond the best number."""
    tuned_wording: float = 0.004
    """The same effect on tuned models."""
    queries_per_month: int = 200_000


TASKS = (
    Shape("sentiment", "prompt", 0.50, (0.70, 0.86, 0.93), 0.03, 0.03, (0.84, 0.91, 0.935), (0.83, 0.90, 0.92), 1000, 0.03),
    Shape("intents", "lora", 0.02, (0.25, 0.45, 0.62), 0.22, 0.04, (0.80, 0.90, 0.93), (0.78, 0.86, 0.88), 6000, 0.02),
    Shape("dialect", "full", 0.10, (0.15, 0.22, 0.35), 0.10, 0.03, (0.60, 0.68, 0.74), (0.72, 0.84, 0.88), 20000, 0.01),
    Shape("extraction", "hybrid", 0.00, (0.20, 0.45, 0.66), 0.20, 0.06, (0.66, 0.80, 0.86), (0.64, 0.77, 0.82), 4000, 0.02, 0.05),
    Shape("triage", "mid price", 0.20, (0.35, 0.58, 0.70), 0.10, 0.03, (0.76, 0.885, 0.89), (0.77, 0.87, 0.875), 5000, 0.02),
    Shape("rare use", "prompt or lora", 0.10, (0.40, 0.66, 0.82), 0.06, 0.05, (0.74, 0.85, 0.90), (0.72, 0.84, 0.89), 3000, 0.02,
          queries_per_month=3_000),
)  # fmt: skip


class Task:
    """One task with its own random effects.

    Args:
        shape: what it is like.
        instance: seed of the effects.
    """

    models, rows, space = MODELS, ROWS, load_space("joint", Path())

    def __init__(self, shape: Shape, instance: int) -> None:
        self.shape, self.instance, self.name = shape, instance, shape.name
        self.economics = Economics(usd_per_hour=Decimal(str(USD_PER_HOUR)), queries_per_month=shape.queries_per_month)
        r = np.random.default_rng([instance, *shape.name.encode()])
        self.best_rate = {"lora": 10 ** r.normal(-3.0, 0.25), "full": 10 ** r.normal(-4.1, 0.25)}
        self.width = {"lora": r.uniform(0.45, 0.7), "full": r.uniform(0.35, 0.55)}
        self.best_epochs = r.uniform(3.0, 6.0)
        self.least_rank = float(r.choice([4, 8, 16]))
        self.attention_loses = r.uniform(0.0, 0.03)
        self.selector_adds = {"random": 0.0, "balanced": r.uniform(0.0, 0.25), "nearest": r.uniform(-0.1, 0.8)}
        self.score_adds = {"sum": 0.0, "mean": r.normal(-0.01, 0.02), "calibrated": r.normal(0.01, 0.03)}
        self.half_shots = r.uniform(2.0, 6.0)

    def effect(self, *what: Any) -> float:
        """A fixed draw from the standard normal distribution for each combination of values."""
        digest = hashlib.sha256(repr((self.shape.name, self.instance, what)).encode()).digest()
        a, b = (int.from_bytes(digest[i : i + 6], "big") / 2**48 for i in (0, 6))
        return math.sqrt(-2 * math.log(a + 1e-12)) * math.cos(2 * math.pi * b)

    def wording(self, candidate: Candidate) -> float:
        p = candidate.params
        own = self.effect("template", p["template"]) + self.effect("instruction", p["instruction"])
        return (own + 0.7 * self.effect(p["template"], p["instruction"], candidate.model)) / 1.6

    def quality(self, candidate: Candidate, share: float = 1.0) -> float:
        """True accuracy after a share of the training steps."""
        shape, p, size = self.shape, candidate.params, MODELS.index(candidate.model)
        low, high = shape.chance, 0.995
        if candidate.method == "prompt":
            shots = int(p["shots"])
            gain = shape.shots_add * (1 - math.exp(-shots / self.half_shots)) if shots else 0.0
            gain *= 1 + (self.selector_adds[LIKE.get(str(p["selector"]), str(p["selector"]))] if shots else 0.0)
            if candidate.model == "small" and shots > 8:
                gain -= 0.03  # small models lose the thread
            value = shape.zero_shot[size] + gain + shape.wording * self.wording(candidate)
            value += self.score_adds[str(p["label_score"])] * (1.5 if size == 0 else 1.0)
            return min(max(value, low), high)
        ceiling = (shape.lora if candidate.method == "lora" else shape.full)[size]
        rate, epochs = float(p["learning_rate"]), float(p["num_train_epochs"])
        best, width = self.best_rate[candidate.method], self.width[candidate.method]
        best *= (float(p["batch_size"]) / 16) ** 0.5 * (1.0, 0.8, 0.55)[size]
        if candidate.method == "lora":
            best *= (2.0 / (float(p["lora_alpha"]) / float(p["r"]))) ** 0.5
        off = math.log10(rate / best)
        loss = 0.10 * (off / width) ** 2 if off < 0 else 0.12 * (off / width) ** 2
        if off > 2.2 * width:
            return low + 0.02 * abs(self.effect("diverged", candidate.key()))
        if candidate.method == "lora":
            loss += 0.035 * max(0.0, math.log2(self.least_rank / float(p["r"])))
            loss += self.attention_loses if p["target_modules"] == "attention" else 0.0
        dropout = float(p.get("lora_dropout") or 0.0)
        beyond = math.log2(epochs / self.best_epochs)
        loss += (shape.overfits * beyond * (1 - 3 * dropout)) if beyond > 0 else 0.03 * beyond**2
        loss += 0.004 * (float(p["warmup_ratio"]) == 0.0) + 0.003 * (float(p["weight_decay"]) == 0.0) * max(beyond, 0)
        end = ceiling - loss * (ceiling - low) + shape.tuned_wording * self.wording(candidate)
        end = min(max(end, low), high)
        # low rates and few epochs learn late: their curves cross those of high ones
        pace = 3.5 * (10 ** (0.6 * min(off, 0.3))) * (1.0 if candidate.method == "lora" else 0.8)
        reached = (1 - math.exp(-pace * share)) / (1 - math.exp(-pace))
        start = low + 0.5 * max(shape.zero_shot[size] - low, 0.0)
        return float(start + (end - start) * reached)

    def train_seconds(self, candidate: Candidate, share: float) -> float:
        """Of training up to a share of the steps, on one device."""
        if candidate.method == "prompt":
            return 0.0
        tokens = self.shape.train_rows * float(candidate.params["num_train_epochs"]) * self.tokens(candidate)
        per_token = BILLIONS[candidate.model] * (3.0e-5 if candidate.method == "full" else 2.1e-5)
        small_batches = 1 + 2 / float(candidate.params["batch_size"])
        return share * tokens * per_token * small_batches

    def tokens(self, candidate: Candidate) -> float:
        words = {"none": 0, "short": 6, "options": 40, "choose": 40}[str(candidate.params["instruction"])]
        return TEXT_TOKENS + words + SHOT_TOKENS * int(candidate.params.get("shots") or 0)

    def seconds_per_row(self, candidate: Candidate) -> float:
        return 2.0e-4 + 7.0e-6 * BILLIONS[candidate.model] * (self.tokens(candidate) + 20)

    def latency_ms(self, candidate: Candidate) -> float:
        size = BILLIONS[candidate.model]
        return 6.0 + 9.0 * size**0.6 + 0.012 * size**0.8 * self.tokens(candidate)

    def truth(self, candidate: Candidate) -> tuple[float, float, float]:
        """Quality, USD per 1,000 queries, latency in milliseconds, at full fidelity and without noise."""
        queries = self.shape.queries_per_month * 12
        training = self.train_seconds(candidate, 1.0) * USD_PER_HOUR / 3600
        answering = self.seconds_per_row(candidate) * 1000 * USD_PER_HOUR / 3600
        return self.quality(candidate), answering + training * 1000 / queries, self.latency_ms(candidate)

    def answers(self, candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        """What a trial would have measured."""
        noise = np.random.default_rng([seed, fidelity.rows]).normal(0, 0.03, 2)
        times = SimulatedTimes(
            train_seconds=self.train_seconds(candidate, fidelity.steps),
            seconds_per_row=self.seconds_per_row(candidate) * float(np.exp(noise[0])),
            latency_ms=self.latency_ms(candidate) * float(np.exp(noise[1])),
            loading_seconds=LOADING_SECONDS[candidate.model],
        )
        return simulated_answer(self.quality(candidate, fidelity.steps), fidelity.rows, times, seed)

    def sample(self, features: Features) -> list[Candidate]:
        """Random candidates, then many near the best of them."""
        random = np.random.default_rng(1)
        drawn = [features.draw(m, random) for m in ("prompt", "lora", "full") for _ in range(1000)]
        for _ in range(6):
            rows = [(q, c, latency) for q, c, latency in map(self.truth, drawn)]
            best = [drawn[i] for i in np.flatnonzero(non_dominated(rows, (True, False, False)))]
            drawn += [features.move(best[int(random.integers(len(best)))], random) for _ in range(1000)]
        return drawn
