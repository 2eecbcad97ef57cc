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

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from family_natures import (
    CAPABILITIES,
    CAUSAL,
    CONTEXT,
    ENCODER,
    FAMILIES,
    GAPS,
    HOSTED,
    LATENCY_MS,
    LEAST_FULL_SECONDS,
    LONGER,
    METHODS_SEARCHED,
    MODELS,
    MONEY_TRIALS,
    PREFIX,
    SECONDS,
    SHARED_DIFFICULTY,
    SLOTS,
    TRAINED,
    USD_PER_HOUR,
    USD_PER_TOKEN,
    WORDS,
    Arm,
    nature,
)
from family_qualities import Qualities
from scipy.special import ndtr

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.data import Data
from autoadapt.domain.jobs import Fidelity
from autoadapt.domain.model import Capabilities
from autoadapt.domain.outcome import Measurement, RowResult
from autoadapt.domain.space import SearchSpace
from autoadapt.domain.task import Budget, Economics, Evaluation, SearchSettings, Task
from autoadapt.domain.usage import Usage
from autoadapt.executors.replay import VIRTUAL_DEVICE, Simulated
from autoadapt.pareto.dominance import non_dominated
from autoadapt.shelves import METHODS
from autoadapt.surrogates.features import Features
from autoadapt.tasks.space import JointSpace, Pairs, load_space


class FamiliesTask(Qualities):
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
