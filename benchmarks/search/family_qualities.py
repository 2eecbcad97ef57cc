"""True quality of any candidate of a task over all families: a ceiling of its arm, less what its parameters lose."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from family_natures import CAUSAL, HOSTED, LIKE, SHOWS_LABELS, WORDS, Arm, Nature

from autoadapt.domain.candidate import Candidate
from autoadapt.tasks.space import JointSpace


class Qualities:
    """The part of a task that says how good candidates are; `families.FamiliesTask` draws what stands here."""

    instance: int
    nature: Nature
    joint: JointSpace
    ceilings: Mapping[Arm, float]
    """Quality of the best candidate of each arm."""
    best_rate: Mapping[Arm, float]
    width: Mapping[Arm, float]
    """Powers of ten of the learning rate in which a trained arm loses little."""
    leap: Mapping[Arm, float]
    """Steps at the best rate after which half of what can be learned is learned."""
    least_rank: Mapping[str, float]
    best_c: Mapping[Arm, float]
    shots_help: float
    """What very many examples add to prompts."""
    _effects: dict[tuple[Any, ...], float]

    def _default(self, arm: Arm) -> Candidate:
        """The first known-good candidate of an arm."""
        raise NotImplementedError

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
            selector = LIKE.get(str(p["selector"]), p["selector"])
            loss += self.lost("selector", selector, ("random", "balanced", "nearest"), 0.015, model)
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
