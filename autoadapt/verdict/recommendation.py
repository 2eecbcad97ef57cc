"""One option out of the frontier, and the reason in one sentence."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from autoadapt.domain.comparison import Cell, Terms
from autoadapt.domain.option import Option, Recommendation
from autoadapt.domain.task import Advice, Constraints
from autoadapt.domain.verdict import Paired
from autoadapt.economics.rates import GOOD
from autoadapt.verdict.comparisons import (
    LEVEL,
    SAME_COST,
    compared_with,
    costs_clearly_less,
    difference_text,
    pairs_with,
)
from autoadapt.verdict.floor import best_floor, floor_sentence
from autoadapt.verdict.option_values import latency_ms
from autoadapt.verdict.robustness import greatest_loss, robustness_violations

LEAST_LIMIT = 1e-6
"""In place of a limit of 0 where a ratio to it is formed."""


@dataclass(frozen=True)
class Trade:
    """What a lower cost is worth.

    Args:
        advice: what may be given up for it.
        queries_per_month: by which a difference in cost becomes USD a month; None: every difference counts.
    """

    advice: Advice = field(default_factory=Advice)
    queries_per_month: float | None = None

    @classmethod
    def of(cls, terms: Terms, cell: Cell | None = None) -> "Trade":
        """Of a scenario, at its likely volume or at that of a cell."""
        return cls(terms.advice, float((cell or terms.cell()).volume))

    def saves(self, option: Option, other: Option) -> bool:
        """Whether an option costs clearly less than another one: more than measured times vary, and enough USD."""
        if not costs_clearly_less(option.cost_usd_per_1k, other.cost_usd_per_1k):
            return False
        saved = self.saved_usd(option, other)
        return saved is None or saved >= self.advice.least_saving_usd

    def saved_usd(self, option: Option, other: Option) -> float | None:
        """USD a month that an option costs less than another one; None: the volume is not known."""
        if self.queries_per_month is None:
            return None
        return (other.cost_usd_per_1k - option.cost_usd_per_1k) * self.queries_per_month / 1000

    def allows(self, pair: Paired | None) -> bool:
        """Whether test rows show that an option loses no more than may be given up.

        Args:
            pair: its quality minus that of the best option; None: they were not compared.
        """
        return pair is not None and 100 * pair.low >= -self.advice.give_up_points


def recommend(
    options: Sequence[Option],
    constraints: Constraints,
    baseline: int | None,
    pairs: Sequence[Paired] = (),
    trade: Trade = Trade(),
) -> Recommendation:
    """The best option that satisfies the constraints, or a cheaper one that is shown to lose little against it.

    The best option has the highest quality on validation rows, unless test rows show another one to be better. A
    cheaper option is recommended in its place where the whole 95 % interval of the difference on test rows lies above
    what may be given up (a test of non-inferiority at 2.5 %), so that few rows never make a cheap option good enough.

    Args:
        options: measured options, any order.
        constraints: of the task or scenario.
        baseline: trial of the untuned prompt, for the record.
        pairs: options compared on test rows.
        trade: what a lower cost is worth.
    """
    frontier = [o for o in options if o.on_frontier]
    if not frontier:
        return _nothing_measured(baseline)
    common: dict[str, Any] = {
        "scenario": "task",
        "best_quality": max(frontier, key=lambda o: o.quality_expected).trial,
        "cheapest": min(frontier, key=lambda o: o.cost_usd_per_1k).trial,
        "fastest": min(frontier, key=latency_ms).trial,
        "baseline": baseline,
        "floor": None if (floor := best_floor(options)) is None else floor.trial,
    }
    fitting = [o for o in frontier if not violations(o, constraints)]
    if not fitting:
        reason = _nothing_fits(frontier, constraints)
        return Recommendation(trial=None, reason=reason, meets_constraints=False, **common)
    best = best_of(fitting, pairs)
    tied = tied_with(best, fitting, pairs)
    beside_best = pairs_with(best.trial, pairs)
    cheaper = [o for o in fitting if trade.saves(o, best) and trade.allows(beside_best.get(o.trial))]
    chosen = _best_of_cheapest(cheaper) if cheaper else best
    reason = _reason(chosen, best, fitting, options, constraints, (pairs, trade))
    return Recommendation(
        trial=chosen.trial,
        reason=" ".join(filter(None, [floor_sentence(chosen, options, pairs), reason])),
        meets_constraints=True,
        tied=sorted(tied),
        cheaper_equivalent=chosen.trial if chosen.trial != best.trial else None,
        **common,
    )


def _best_of_cheapest(options: Sequence[Option]) -> Option:
    """Of the options that cost about as little as the cheapest, the one of the highest mean quality."""
    least = min(o.cost_usd_per_1k for o in options)
    cheap = [o for o in options if o.cost_usd_per_1k <= least * SAME_COST]
    return max(cheap, key=lambda o: (_mean_quality(o), -latency_ms(o)))


def _nothing_measured(baseline: int | None) -> Recommendation:
    return Recommendation(
        scenario="task",
        trial=None,
        reason="No candidate was measured in full, so nothing can be recommended.",
        meets_constraints=False,
        best_quality=None,
        cheapest=None,
        fastest=None,
        baseline=baseline,
    )


def _mean_quality(option: Option) -> float:
    """Mean of validation and test quality, by which tied options of about the same cost are ordered."""
    if option.test_quality is None:
        return option.quality_expected
    return (option.quality_expected + option.test_quality) / 2


def best_of(options: Sequence[Option], pairs: Sequence[Paired]) -> Option:
    """The option of highest expected quality, unless a paired test on test rows finds another one better."""
    top = max(options, key=lambda o: o.quality_expected)
    comparisons = compared_with(top.trial, {o.trial for o in options}, pairs)
    better = {t for t, (pair, p) in comparisons.items() if p < LEVEL and pair.difference > 0}
    return max((o for o in options if o.trial in better), key=lambda o: o.test_quality or 0.0, default=top)


def tied_with(best: Option, options: Sequence[Option], pairs: Sequence[Paired]) -> list[int]:
    """Trials of the other options that neither validation nor test rows show to be worse than the best."""
    others = {o.trial for o in options if o.trial != best.trial}
    comparisons = compared_with(best.trial, others, pairs)
    worse = {t for t, (pair, p) in comparisons.items() if p < LEVEL and pair.difference < 0}
    # test rows guard against a lucky validation score, so the higher of measured and expected quality counts there
    quality = {
        o.trial: max(o.quality, o.quality_expected) if o.trial in comparisons else o.quality_expected for o in options
    }
    return [o.trial for o in options if o.trial in others - worse and quality[o.trial] >= best.quality_ci[0]]


def violations(option: Option, constraints: Constraints) -> list[str]:
    """The constraints that an option does not satisfy, each as a clause."""
    clauses = []
    if constraints.quality is not None and option.quality < constraints.quality:
        clauses.append(f"its quality {option.quality:.3f} is below {constraints.quality:g}")
    if constraints.cost_usd_per_1k is not None and option.cost_usd_per_1k > constraints.cost_usd_per_1k:
        clauses.append(f"its cost ${option.cost_usd_per_1k:.4g} per 1k is above ${constraints.cost_usd_per_1k:g}")
    if constraints.latency_p95_ms is not None:
        clauses += _latency_violations(option, constraints.latency_p95_ms)
    if constraints.training_usd is not None and option.training_usd > constraints.training_usd:
        clauses.append(f"its training at ${option.training_usd:.4g} is above ${constraints.training_usd:g}")
    for name, size, limit in (
        ("peak memory", option.peak_memory_bytes, constraints.memory_mb),
        ("artifact", option.artifact_bytes, constraints.artifact_mb),
    ):
        if limit is not None and size > limit * 1e6:
            clauses.append(f"its {name} of {size / 1e6:.0f} MB is above {limit:g} MB")
    return clauses + robustness_violations(option, constraints.robustness_points)


def _latency_violations(option: Option, target: float) -> list[str]:
    """By which a latency target is missed, or may be missed: a limit is judged by the upper bound of the p95."""
    p95, high, within = option.latency_p95_ms, option.latency_p95_high_ms, option.within_target
    if p95 is None:
        return ["its p95 latency is unknown (it needs 59 samples: raise evaluation.latency_requests)"]
    if p95 > target:
        return [f"its p95 latency {p95:.1f} ms is above {target:g} ms"]
    if high is not None and high > target:
        return [f"its p95 latency of {p95:.1f} ms may be {high:.1f} ms, above {target:g} ms"]
    if within is not None and within < GOOD:
        return [f"only {100 * within:.1f} % of its requests, not {100 * GOOD:g} %, are within {target:g} ms"]
    return []


def binding(
    options: Sequence[Option], constraints: Constraints, pairs: Sequence[Paired] = (), trade: Trade = Trade()
) -> list[str]:
    """Constraints without which another option would be recommended, by their name in the task."""
    return binding_for(constraints, lambda limits: recommend(options, limits, None, pairs, trade).trial)


def binding_for(constraints: Constraints, choose: Callable[[Constraints], int | None]) -> list[str]:
    """Constraints without which another option would be chosen, by their name in the task.

    Args:
        constraints: of the task or scenario.
        choose: gives the option that is chosen under some constraints.
    """
    with_all = choose(constraints)
    given = [name for name in Constraints.model_fields if getattr(constraints, name) is not None]
    return [name for name in given if choose(constraints.model_copy(update={name: None})) != with_all]


def _nothing_fits(frontier: Sequence[Option], constraints: Constraints) -> str:
    nearest = min(frontier, key=lambda o: (len(violations(o, constraints)), _distance(o, constraints)))
    return (
        f"No option satisfies the constraints; {nearest.name} comes nearest, but "
        + " and ".join(violations(nearest, constraints))
        + "."
    )


def _distance(option: Option, constraints: Constraints) -> float:
    """By how much an option misses the constraints: the sum, over those it misses, of the ratio to the limit less 1."""
    unknown = math.inf
    latency = option.latency_p95_ms if option.latency_p95_ms is not None else unknown
    figures = (
        (constraints.cost_usd_per_1k, option.cost_usd_per_1k),
        (constraints.latency_p95_ms, latency),
        (constraints.training_usd, option.training_usd),
        (constraints.memory_mb, option.peak_memory_bytes / 1e6),
        (constraints.artifact_mb, option.artifact_bytes / 1e6),
        (constraints.robustness_points, greatest_loss(option)),
    )
    over = sum(
        figure / max(limit, LEAST_LIMIT) - 1 for limit, figure in figures if limit is not None and figure > limit
    )
    short = max(0.0, (constraints.quality or 0.0) - option.quality) / (constraints.quality or 1.0)
    within = GOOD if option.within_target is None or constraints.latency_p95_ms is None else option.within_target
    late = max(0.0, GOOD - within)
    return over + short + late


def _reason(
    chosen: Option,
    best: Option,
    fitting: Sequence[Option],
    every: Sequence[Option],
    constraints: Constraints,
    weighed: tuple[Sequence[Paired], Trade],
) -> str:
    """Why one of the options of the frontier that satisfy the constraints is recommended.

    Args:
        chosen: recommended.
        best: of the highest quality.
        fitting: of the frontier.
        every: all options that are shown.
        constraints: of the task.
        weighed: paired comparisons, and what a lower cost is worth.
    """
    pairs, trade = weighed
    some_violate = any(violations(o, constraints) for o in every if o.on_frontier)
    others_fit = any(not violations(o, constraints) for o in every if o.trial != chosen.trial)
    within = " that satisfies the constraints" if some_violate else ""
    if len(fitting) == 1:
        if others_fit:
            return f"{chosen.title} is the best option{within}: no other one is clearly better in anything."
        return f"{chosen.title} is the only option{within}."
    if chosen.trial == best.trial:
        others = _cheaper_ones(best, fitting, pairs, trade)
        return f"{chosen.title} is the best option{within} ({chosen.quality:.3f} on validation rows). {others}"
    pair = pairs_with(best.trial, pairs)[chosen.trial]
    by = difference_text(pair.difference, pair.low, pair.high)
    better = best.named(f"{best.quality:.3f} on validation rows")
    return (
        f"{chosen.title} is recommended in place of the best option{within}, {better}: on "
        f"{pair.rows} test rows it differs by {by}, so that it loses no more than the {_may_be_given_up(trade)}, and "
        f"{_saving(chosen, best, trade)}."
    )


def _may_be_given_up(trade: Trade) -> str:
    points = trade.advice.give_up_points
    return f"{points:g} point{'' if points == 1 else 's'} that may be given up"


def _cheaper_ones(best: Option, fitting: Sequence[Option], pairs: Sequence[Paired], trade: Trade) -> str:
    """Why no cheaper option is recommended, with the one that comes nearest and how much worse it may be."""
    beside_best = pairs_with(best.trial, pairs)
    cheaper = [o for o in fitting if trade.saves(o, best)]
    if not cheaper:
        little = [o for o in fitting if costs_clearly_less(o.cost_usd_per_1k, best.cost_usd_per_1k)]
        saved = [trade.saved_usd(o, best) or 0.0 for o in little]
        if saved:
            return f"Cheaper ones save at most ${max(saved):.2g} a month, which decides nothing."
        return "No other one costs clearly less."
    compared = [o for o in cheaper if o.trial in beside_best]
    if not compared:
        return f"No cheaper one is shown to lose no more than the {_may_be_given_up(trade)}."
    nearest = max(compared, key=lambda o: beside_best[o.trial].low)
    pair = beside_best[nearest.trial]
    by = difference_text(pair.difference, pair.low, pair.high)
    return (
        f"{nearest.title} comes nearest to it for less ({_saving(nearest, best, trade)}), but may be up to "
        f"{-100 * pair.low:.1f} points worse ({by} on {pair.rows} test rows), more than the {_may_be_given_up(trade)}."
    )


def _saving(option: Option, best: Option, trade: Trade) -> str:
    """What a cheaper option saves against the best one."""
    saved, month = f"a query costs {_times(best.cost_usd_per_1k, option.cost_usd_per_1k)} times less", ""
    usd = trade.saved_usd(option, best)
    if usd is not None:
        month = f", which saves ${usd:.2f} a month" if usd < 100 else f", which saves ${usd:,.0f} a month"
    if latency_ms(best) > latency_ms(option) * SAME_COST:
        return f"{saved}{month}, and is answered {_times(latency_ms(best), latency_ms(option))} times faster"
    if latency_ms(option) > latency_ms(best) * SAME_COST:
        return f"{saved}{month}, but is answered {_times(latency_ms(option), latency_ms(best))} times slower"
    return saved + month


def times_text(ratio: float) -> str:
    """A ratio with two significant figures and no exponent."""
    return f"{ratio:.2g}" if ratio < 99.5 else f"{round(ratio, 1 - math.floor(math.log10(ratio))):,.0f}"


def _times(more: float, less: float) -> str:
    return times_text(more / less) if less else "infinitely many"
