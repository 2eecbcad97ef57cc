"""Tasks over all families of models with the proportions of time of real ones: `families-5`, `-10` and `-20`.

Words, an encoder, a small causal model and a hosted one are searched together, over the search space that ships. The
number is the budget: so many times what the defaults of the trained methods take on average. What the tasks imitate:

- seconds as measured on one CPU core with 600 short rows (`SECONDS`); long texts take trained methods ten times as long,
  and on some instances one trained method on one model takes ten times what the others would let one expect;
- quality stays at chance until the training has done some steps and then leaps, so that a ninth of the steps says nothing
  of a task with many labels;
- prompts that are longer than the context, shots that there are no rows for, and ways to ask that the server does not
  have (`obstacle`);
- 150 to 200 validation rows, the same for all candidates: options are right on similar rows;
- a hosted model that takes 20 to 60 seconds a trial and money.

Which family wins follows from the instance (`WINNERS`). Ceilings, optima and penalties are drawn; nothing is fitted to a
sampler.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtr

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.jobs import Fidelity
from autoadapt.domain.model import Capabilities
from autoadapt.domain.outcome import Measurement, RowResult
from autoadapt.domain.space import SearchSpace
from autoadapt.domain.task import Budget, Data, Economics, Evaluation, SearchSettings, Task
from autoadapt.domain.usage import Usage
from autoadapt.executors.replay import VIRTUAL_DEVICE, Simulated
from autoadapt.pareto.dominance import non_dominated
from autoadapt.shelves import METHODS
from autoadapt.surrogates.features import Features
from autoadapt.tasks.space import JointSpace, Pairs, load_space

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


class FamiliesTask:
    """One task with its own random effects.

    Args:
        name: `families-` and the number of full trials that the budget pays for.
        instance: seed of the task; the same task under every budget.
    """

    models: ClassVar[tuple[str, ...]] = MODELS
    families: ClassVar[Mapping[str, str]] = FAMILIES
    capabilities: ClassVar[Mapping[str, Capabilities]] = CAPABILITIES

    def __init__(self, name: str, instance: int) -> None:
        self.name, self.instance, self.trials = name, instance, int(name.removeprefix(PREFIX))
        self.nature = nature(instance)
        self._effects: dict[tuple[Any, ...], float] = {}
        self.rows = self.nature.rows
        self.economics = Economics(usd_per_hour=Decimal(str(USD_PER_HOUR)), queries_per_month=100_000)
        self.space: SearchSpace = load_space("joint", Path())
        self.joint = self._joint()
        r = np.random.default_rng([instance, 20_262])
        span = self.nature.top - self.nature.chance
        self.ceilings = {
            arm: self.nature.top - span * float(r.uniform(*gap)) for arm, gap in GAPS[self.nature.winner].items()
        }
        self.seconds = {arm: float(r.uniform(*least_most)) for arm, least_most in SECONDS.items()}
        self.best_rate = {
            arm: self._default(arm).params["learning_rate"] * 10 ** float(r.normal(0.0, 0.3)) for arm in self._trained
        }
        self.width = {arm: float(r.uniform(0.4, 0.65)) for arm in self._trained}
        self.leap = {arm: self._leap_steps(arm, r) for arm in self._trained}
        self.least_rank = {model: float(r.choice([4, 8, 16])) for model in (ENCODER, CAUSAL)}
        self.best_c = {arm: 10 ** float(r.normal(1.0, 0.6)) for arm in self.ceilings}
        self.shots_help = float(r.uniform(0.0, 0.12))
        """Of the hosted model and the local one: what very many examples add."""
        self.server_knows = {"schema": True, "text": True, "logprobs": r.random() < 0.6, "decisions": False}
        self._row_effects = {split: r.normal(size=2000) for split in ("validation", "test")}

    @property
    def _trained(self) -> list[Arm]:
        return [(method, model) for method in TRAINED for model in (ENCODER, CAUSAL)]

    def _leap_steps(self, arm: Arm, r: np.random.Generator) -> float:
        """Steps at the best rate after which half of what can be learned is learned."""
        least, most = {2: (0.05, 0.2), 6: (0.08, 0.3), 24: (0.2, 0.5), 77: (0.3, 0.65)}[self.nature.labels]
        return float(r.uniform(least, most)) * max(20, self._default(arm).steps(self.nature.train_rows))

    # -- the task as a search sees it

    def _joint(self) -> JointSpace:
        pairs = {
            m: tuple(model for model in self.models if not METHODS.get(m).lacks(self.capabilities[model], "label"))
            for m in METHODS_SEARCHED
        }
        task = self.task(Budget(trials=1), SearchSettings(), 0)
        return JointSpace(self.space, task, "label", Pairs(pairs, self.families, self.capabilities))

    def task(self, budget: Budget, search: SearchSettings, seed: int) -> Task:
        """The task file."""
        return Task(
            name="simulation",
            data=Data(train="none"),
            metric=PluginChoice(name="accuracy"),
            models=list(self.models),
            methods=list(METHODS_SEARCHED),
            floor=False,  # its methods and its model are named above, as if `floor` had added them
            budget=budget,
            economics=self.economics,
            evaluation=Evaluation(rows=self.nature.rows),
            search=search,
            seed=seed,
        )

    def obstacle(self, candidate: Candidate) -> str | None:
        """Why a candidate cannot work."""
        params, model = candidate.params, candidate.model
        if candidate.method != "prompt":
            return None
        if int(params.get("shots") or 0) > self.nature.train_rows:
            return "more shots than training rows"
        if self.tokens(candidate) > CONTEXT[model]:
            return "the prompt is longer than the context"
        if model == HOSTED and not self.server_knows.get(str(params.get("label_way")), True):
            return "the server does not answer in this way"
        return None

    def tokens(self, candidate: Candidate) -> int:
        """Of a prompt."""
        instruction = {"none": 0, "short": 6}.get(
            str(candidate.params.get("instruction", "none")), 8 + 3 * self.nature.labels
        )
        return instruction + (self.nature.text_tokens + 6) * (int(candidate.params.get("shots") or 0) + 1)

    # -- quality

    def effect(self, *what: Any) -> float:
        """A fixed draw from the standard normal distribution for each combination of values."""
        if what not in self._effects:
            digest = hashlib.sha256(repr((self.instance, what)).encode()).digest()
            a, b = (int.from_bytes(digest[i : i + 6], "big") / 2**48 for i in (0, 6))
            self._effects[what] = math.sqrt(-2 * math.log(a + 1e-12)) * math.cos(2 * math.pi * b)
        return self._effects[what]

    def lost(self, name: str, value: Any, choices: Sequence[Any], scale: float, *where: Any) -> float:
        """What a choice loses against the best one of its parameter: nothing for the best."""
        draws = {c: self.effect(name, c, *where) for c in choices}
        return scale * (max(draws.values()) - draws[value])

    def quality(self, candidate: Candidate, share: float = 1.0) -> float:
        """True accuracy after a share of the training steps."""
        if candidate.method == "majority":
            return self.nature.chance
        losses: dict[str, Callable[[Candidate], float]] = {
            "tfidf": self._words_loss,
            "head": self._head_loss,
            "prompt": self._prompt_loss,
        }
        chance, ceiling = self.nature.chance, self.ceilings[candidate.method, candidate.model]
        if candidate.method in losses:
            value = ceiling - losses[candidate.method](candidate) * (ceiling - chance)
            return float(min(max(value, 0.3 * chance if candidate.method == "prompt" else chance), 0.995))
        if self._diverges(candidate):
            return chance + 0.01 * abs(self.effect("diverged", candidate.key()))
        reached = (1 - self._trained_loss(candidate)) * self.learned(candidate, share)
        value = chance + max(reached, 0.0) * (ceiling - chance) + 0.004 * self.effect("chance", candidate.key())
        return float(min(max(value, 0.95 * chance), 0.995))

    def _words_loss(self, candidate: Candidate) -> float:
        p = candidate.params
        off = math.log10(float(p["C"]) / self.best_c["tfidf", WORDS])
        return (
            self.lost("units", p["units"], ("words", "characters", "both"), 0.03)
            + self.lost("classifier", p["classifier"], ("logistic_regression", "linear_svm"), 0.01)
            + 0.03 * min(off**2, 4.0)
        )

    def _head_loss(self, candidate: Candidate) -> float:
        p, model = candidate.params, candidate.model
        branch = self.joint.arms[self.joint.arm_of("head", model)].specs
        off = math.log10(float(p["C"]) / self.best_c["head", model])
        return 0.015 * min(off**2, 4.0) + sum(
            self.lost(name, p[name], tuple(branch[name].choices), 0.015, model)
            for name in ("pooling", "scaling", "depth")
        )

    def _prompt_loss(self, candidate: Candidate) -> float:
        p, model = candidate.params, candidate.model
        branch = self.joint.arms[self.joint.arm_of("prompt", model)].specs
        wording = 0.01 if model == HOSTED else 0.05
        loss = sum(
            self.lost(name, p[name], tuple(branch[name].choices), wording, model)
            for name in ("template", "label_score", "label_way")
            if name in p
        )
        # a model that is not told the labels has to guess them, unless examples show them
        shots, told = (
            int(p.get("shots") or 0),
            p["instruction"] in ("options", "choose") or p.get("label_way") in SHOWS_LABELS,
        )
        loss += 0.0 if told else 0.5 / (1 + shots * 4 / self.nature.labels)
        loss += self.shots_help * math.exp(-shots / 4)
        if model == CAUSAL and shots > 4:
            loss += 0.02 * max(0.0, self.effect("loses the thread")) * math.log2(shots / 4)
        if shots:
            loss += self.lost("selector", p["selector"], ("random", "balanced", "nearest"), 0.015, model)
        return loss

    def off_rate(self, candidate: Candidate) -> float:
        """Powers of ten by which the learning rate is greater than the best one for its batch."""
        p, arm = candidate.params, (candidate.method, candidate.model)
        best = self.best_rate[arm] * (float(p["batch_size"]) / 16) ** 0.5
        if candidate.method == "lora":
            best *= (2.0 / (float(p["lora_alpha"]) / float(p["r"]))) ** 0.5
        return math.log10(float(p["learning_rate"]) / best)

    def _diverges(self, candidate: Candidate) -> bool:
        return self.off_rate(candidate) > 2.0 * self.width[candidate.method, candidate.model]

    def _trained_loss(self, candidate: Candidate) -> float:
        p, arm = candidate.params, (candidate.method, candidate.model)
        off = self.off_rate(candidate)
        loss = 0.06 * (off / self.width[arm]) ** 2 if off < 0 else 0.10 * (off / self.width[arm]) ** 2
        if candidate.method == "lora":
            loss += 0.02 * max(0.0, math.log2(self.least_rank[candidate.model] / float(p["r"])))
            loss += self.lost(
                "target_modules", p["target_modules"], ("all-linear", "attention"), 0.012, candidate.model
            )
        beyond = math.log2(float(p["num_train_epochs"]) / float(self._default(arm).params["num_train_epochs"]))
        loss += 0.01 * max(0.0, beyond - 0.5) * (1 + self.effect("overfits", *arm) ** 2)
        loss += 0.006 * (float(p["warmup_ratio"]) == 0.0)
        if "template" in p:
            loss += self.lost(
                "template", p["template"], ("plain", "text_label", "input_output", "arrow"), 0.004, "tuned"
            )
        return loss

    def progress(self, candidate: Candidate, share: float) -> float:
        """Steps done, each counted by its rate relative to the best one; rates decay linearly to zero."""
        steps = candidate.steps(self.nature.train_rows)
        return steps * (2 * share - share**2) * min(10 ** self.off_rate(candidate), 1.6)

    def learned(self, candidate: Candidate, share: float) -> float:
        """How much of what can be learned is learned: nothing for a while, then a leap, then slowly the rest."""
        done = self.progress(candidate, share) / self.leap[candidate.method, candidate.model]
        leapt = 1 / (1 + done**-6.0) if done > 0 else 0.0
        return leapt * (1 - 0.18 * math.exp(-max(0.0, done - 1) / 1.5))

    def train_loss(self, candidate: Candidate, share: float) -> list[float]:
        """Mean loss of every tenth of the steps: it falls a little before quality does."""
        start = math.log(self.nature.labels)
        losses = []
        for i in range(10):
            part = share * (i + 0.5) / 10
            done = self.progress(candidate, part) / self.leap[candidate.method, candidate.model]
            losses.append(start * (1 - 0.12 * min(done, 1.0)) * (1 - 0.9 * self.learned(candidate, part)))
        return losses if not self._diverges(candidate) else [start * 1.3] * 10

    # -- time and money

    @cached_property
    def _defaults(self) -> dict[Arm, Candidate]:
        first = [self.joint.candidate(p) for p in self.joint.first()]
        return {(c.method, c.model): c for c in reversed(first)}

    def _default(self, arm: Arm) -> Candidate:
        return self._defaults[arm]

    def train_seconds(self, candidate: Candidate, share: float = 1.0, surprise: bool = True) -> float:
        """Of training up to a share of the steps."""
        if candidate.method not in TRAINED:
            return 0.0
        arm, p = (candidate.method, candidate.model), candidate.params
        default = self._default(arm).params
        seconds = self.seconds[arm] * (10.0 if self.nature.long else 1.0) * self.nature.train_rows / 600
        seconds *= float(p["num_train_epochs"]) / float(default["num_train_epochs"])
        seconds *= (1 + 2 / float(p["batch_size"])) / (1 + 2 / float(default["batch_size"]))
        seconds *= 0.85 if p.get("target_modules") == "attention" else 1.0
        return share * seconds * (10.0 if surprise and arm == self.nature.surprise else 1.0)

    def answer_seconds(self, candidate: Candidate) -> float:
        """Of answering all validation rows; for what is fitted in no time, of fitting too."""
        arm, long = (candidate.method, candidate.model), self.nature.long
        if candidate.method in TRAINED:
            return (0.8 if candidate.model == ENCODER else 1.5) * (6.0 if long else 1.0)
        seconds = self.seconds[arm] * (LONGER[arm] if long else 1.0)
        if candidate.method == "prompt":
            default = self.tokens(self._default(arm))
            power = 0.2 if candidate.model == HOSTED else 0.6
            return seconds * (self.tokens(candidate) / default) ** power
        return seconds * (self.nature.train_rows / 600) ** 0.8 if candidate.method != "majority" else seconds

    def usd_per_row(self, candidate: Candidate) -> float:
        """That the provider bills."""
        return USD_PER_TOKEN * self.tokens(candidate) if candidate.model == HOSTED else 0.0

    def latency_ms(self, candidate: Candidate) -> float:
        longer = 4.0 if self.nature.long and candidate.model not in (WORDS, HOSTED) else 1.0
        if candidate.method == "prompt" and candidate.model == CAUSAL:
            longer *= (self.tokens(candidate) / self.nature.text_tokens) ** 0.5
        return LATENCY_MS[candidate.model] * longer

    def truth(self, candidate: Candidate, trained: float = 1.0) -> tuple[float, float, float]:
        """Quality, USD per 1,000 queries, latency in milliseconds, without noise and after a share of the training."""
        busy = 0.0 if candidate.model == HOSTED else self.answering_seconds(candidate)
        answering = 1000 * (busy * USD_PER_HOUR / 3600 + self.usd_per_row(candidate))
        training = self.train_seconds(candidate, trained) * USD_PER_HOUR / 3600
        return (
            self.quality(candidate, trained),
            answering + training * 1000 / (100_000 * 12),
            self.latency_ms(candidate),
        )

    def answering_seconds(self, candidate: Candidate) -> float:
        """Device-seconds of one row in a batch: a head answers in the time of its encoder, fitting apart."""
        parts = {"tfidf": 0.1, "head": 0.25}
        return self.answer_seconds(candidate) * parts.get(candidate.method, 1.0) / self.rows

    # -- what trials measure

    def answers(self, candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        """What a trial would have measured."""
        return self._measured(candidate, fidelity, seed, "validation")

    def scores(self, candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        """What a finished option would give on test rows."""
        return self._measured(candidate, fidelity, seed + 1, "test")

    def _measured(self, candidate: Candidate, fidelity: Fidelity, seed: int, split: str) -> Simulated:
        r = np.random.default_rng([seed, self.instance])
        slower, later = np.exp(r.normal(0, 0.06, 2))
        own = r.normal(size=2000)[: fidelity.rows]
        common = self._row_effects[split][: fidelity.rows]
        score = ndtr(math.sqrt(SHARED_DIFFICULTY) * common + math.sqrt(1 - SHARED_DIFFICULTY) * own)
        right = score < self.quality(candidate, fidelity.steps)
        trained = self.train_seconds(candidate, fidelity.steps) * slower
        part = fidelity.rows / self.rows
        steps = round(fidelity.steps * candidate.steps(self.nature.train_rows)) if trained else 0
        answering = self.answering_seconds(candidate) * fidelity.rows * slower
        # what does not train fits while it answers: that time does not shrink with the rows
        fitting = (
            0.0 if candidate.method in ("prompt", *TRAINED) else self.answer_seconds(candidate) * slower - answering
        )
        busy = {} if candidate.model == HOSTED else {VIRTUAL_DEVICE: answering}
        measurement = Measurement.model_construct(
            rows=[RowResult.model_construct(id=i, stats=[float(x)], tokens_in=0, tokens_out=0) for i, x in enumerate(right)],
            training=Usage(device_seconds={VIRTUAL_DEVICE: trained}),
            answering=Usage(device_seconds=busy, usd=fidelity.rows * self.usd_per_row(candidate)),
            train_seconds=trained,
            train_steps=steps,
            train_steps_planned=steps,
            train_loss=self.train_loss(candidate, fidelity.steps) if trained else [],
            inference_seconds=answering,
            latency_ms=[self.latency_ms(candidate) * later],
            peak_memory_bytes=0,
            parameters_trained=int(trained > 0),
            parameters_total=0,
        )  # fmt: skip
        overhead = 0.4 if candidate.model in (ENCODER, CAUSAL) else 0.05
        return Simulated(measurement, trained + max(0.0, fitting) + answering + 0.3 * min(1.0, part), overhead)

    @cached_property
    def full_seconds(self) -> float:
        """Of a trained method's default, mean over methods and models as one would expect them: without the surprise."""
        defaults = [self._default(arm) for arm in self._trained]
        mean = float(np.mean([self.train_seconds(c, surprise=False) + self.answer_seconds(c) for c in defaults]))
        return max(LEAST_FULL_SECONDS, mean)

    @property
    def budget(self) -> Budget:
        """Wall-clock time for both slots, and money for the hosted model besides."""
        seconds = self.trials * self.full_seconds
        zero_shot = self.usd_per_row(self._default(("prompt", HOSTED))) * self.rows
        usd = seconds * USD_PER_HOUR / 3600 + self.trials * MONEY_TRIALS * zero_shot
        return Budget(hours=seconds / SLOTS / 3600, usd=Decimal(f"{usd:.9f}"))

    def sample(self, features: Features) -> list[Candidate]:
        """Random candidates that can work, then many near the best of them."""
        random = np.random.default_rng(1)
        drawn = self._workable([features.draw(arm, random) for arm in features.arms for _ in range(300)])
        truths = [self.truth(c) for c in drawn]
        for _ in range(6):
            best = [drawn[i] for i in np.flatnonzero(non_dominated(truths, (True, False, False)))]
            best += [drawn[i] for i in np.argsort([-truth[0] for truth in truths])[:10]]
            near = self._workable([features.move(best[int(random.integers(len(best)))], random) for _ in range(500)])
            drawn, truths = [*drawn, *near], [*truths, *map(self.truth, near)]
        return drawn

    def _workable(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that nothing speaks against and that the budget could pay for."""
        return [c for c in candidates if self.can_be_had(c)]

    def can_be_had(self, candidate: Candidate) -> bool:
        """Whether nothing speaks against a candidate and the budget could pay for it."""
        limit = float(self.budget.hours or 0.0) * 3600
        return (
            self.obstacle(candidate) is None and self.train_seconds(candidate) + self.answer_seconds(candidate) <= limit
        )
