"""What is tried before models can choose: the portfolio, cheapest first, and a few spread-out trained candidates."""

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.history import History
from autoadapt.surrogates.features import Features
from autoadapt.surrogates.observations import exponent
from autoadapt.surrogates.prices import Prices

FIRST_SHARE = 0.008
"""Share of what is left of the budget up to which a candidate of the portfolio is tried unasked."""
LEAST_SEEN = 3
"""Candidates of a trained method before it is judged by its models, where they cost little."""
DRAWN = 96
"""Random candidates among which the most distant one is chosen."""
STEEP_WEIGHT = 5.0
"""Weight of a learning rate relative to other parameters, when candidates are spread out."""


def cheapest_of_portfolio(history: History, prices: Prices) -> Candidate | None:
    """The cheapest of the portfolio's candidates, unless even that one is expensive relative to the budget.

    Simple methods come before all others, so that everything can be compared with them however the budget ends.
    Prices of methods and models are learnt as trials finish. Untuned candidates need no price: they are the cheapest.
    """
    if not history.first:
        return None
    simple = [c for c in history.first if c.method in history.floor]
    if simple:
        return simple[0]
    untuned = [c for c in history.first if c.method not in history.tunes]
    for candidate in untuned:
        if candidate.model not in prices.priced:
            return candidate
    best = min((c for c in history.first if c.model in prices.priced or not untuned), key=prices.of)
    arms = {history.arm(t.candidate) for t in history.trials if t.state != "failed"}
    expensive = history.left_seconds is not None and prices.of(best) > FIRST_SHARE * history.left_seconds
    return None if expensive and arms >= set(history.branches) else best


def cheap_to_finish(history: History, prices: Prices, share: float) -> int | None:
    """Number of a paused trial without training that costs little to finish; None: there is none.

    It was begun with a part of the rows because its price was not known. Every further rung would load its model again,
    which can take as long as the answers.

    Args:
        history: the study so far.
        prices: learnt from it.
        share: of what is left of the budget that counts as little.
    """
    paused = [t for t in history.trials if t.state == "paused" and t.candidate.method not in history.tunes]
    if not paused:
        return None
    in_full = {history.arm(t.candidate) for t in history.trials if t.reached and t.reached[-1].share >= 1}
    for trial in paused:
        whole = max(prices.of(trial.candidate), history.expected_seconds(trial.candidate) or 0.0)
        left = whole * (1 - trial.reached[-1].share) ** exponent(history, trial)
        if history.left_seconds is None:  # nothing says what is cheap: one of each arm is enough to compare with
            cheap = history.arm(trial.candidate) not in in_full
        else:
            cheap = left <= share * history.left_seconds
        if cheap:
            return trial.number
    return None


def spread_out(history: History, prices: Prices, random: np.random.Generator) -> Candidate | None:
    """A candidate of a trained arm seen too rarely to judge it, far from those tried; None if it is expensive.

    A default that diverges says little about a method: learning rates span orders of magnitude.
    """
    if history.left_seconds is None:
        return None
    features = prices.features
    for arm, tried in _rarely_tried(history).items():
        drawn = [features.draw(arm, random) for _ in range(DRAWN)]
        drawn = [c for c in drawn if prices.of(c) <= FIRST_SHARE * history.left_seconds and history.can_work(c)]
        if not drawn:
            continue
        cheapest = min(drawn, key=lambda c: prices.of(c) / c.passes).model
        drawn = [c for c in drawn if c.model == cheapest]
        columns = features.columns.of_arm[features.arms.index(arm)]
        weights = np.where(features.columns.steep[columns], STEEP_WEIGHT, 1.0)
        known = np.array([features.point(c)[columns] for c in tried] or [np.full(len(columns), 0.5)]) * weights
        points = np.array([features.point(c)[columns] for c in drawn]) * weights
        return drawn[int(np.argmax(np.abs(points[:, None] - known[None]).sum(2).min(1)))]
    return None


def _rarely_tried(history: History) -> dict[str, list[Candidate]]:
    """What was tried of each trained arm that was seen too rarely to judge it."""
    rare: dict[str, list[Candidate]] = {
        arm: [] for arm, branch in history.branches.items() if branch.method in history.tunes
    }
    for trial in history.trials:
        if not rare:
            break
        arm = history.arm(trial.candidate)
        if arm in rare and trial.state != "failed":
            rare[arm].append(trial.candidate)
            if len(rare[arm]) >= LEAST_SEEN:
                del rare[arm]
    return rare


def draw_least_seen(history: History, features: Features, random: np.random.Generator) -> Candidate:
    """A random candidate of the arm with the fewest trials; of equals, the first (cheapest) one.

    Where none that was drawn of it is new and can work, as in an arm of few candidates that are all tried, the next arm
    is taken; the last resort is a candidate that was tried or cannot work.
    """
    tried = [history.arm(t.candidate) for t in history.trials if t.state != "failed"]
    keys = {t.candidate.key() for t in history.trials}
    arms = sorted(history.branches, key=tried.count)
    for arm in arms:
        for _ in range(DRAWN):
            candidate = features.draw(arm, random)
            if candidate.key() not in keys and history.can_work(candidate):
                return candidate
    return features.draw(arms[0], random)
