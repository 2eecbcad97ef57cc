"""One option out of the frontier, and the reason in one sentence."""

from collections.abc import Sequence
from typing import Any

from autoadapt.domain.option import Option, Recommendation
from autoadapt.domain.task import Constraints
from autoadapt.domain.verdict import Paired
from autoadapt.verdict.comparisons import LEVEL, SAME_COST, compared_with, difference_text, pairs_with
from autoadapt.verdict.floor import best_floor, floor_sentence
from autoadapt.verdict.option_values import latency_ms


def recommend(
    options: Sequence[Option], constraints: Constraints, baseline: int | None, pairs: Sequence[Paired] = ()
) -> Recommendation:
    """The cheapest option that is as good as the best, among those that satisfy the constraints.

    As good as the best: its quality lies within the 95 % interval of the best option's quality on validation rows, and
    where both were scored on test rows, a paired test there does not find it worse (Holm's correction over all that
    are compared with the best). So nothing is paid for a gain of quality that may be chance.

    Args:
        options: measured options, any order.
        constraints: of the task or scenario.
        baseline: trial of the untuned prompt, for the record.
        pairs: options compared on test rows.
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
    as_good = [o for o in fitting if o.trial == best.trial or o.trial in tied]
    least = min(o.cost_usd_per_1k for o in as_good)
    cheap = [o for o in as_good if o.cost_usd_per_1k <= least * SAME_COST]
    chosen = max(cheap, key=lambda o: (_mean_quality(o), -latency_ms(o)))
    reason = _reason(chosen, best, fitting, len(fitting) < len(frontier), pairs)
    return Recommendation(
        trial=chosen.trial,
        reason=" ".join(filter(None, [floor_sentence(chosen, options, pairs), reason])),
        meets_constraints=True,
        tied=sorted(tied),
        cheaper_equivalent=chosen.trial if chosen.trial != best.trial else None,
        **common,
    )


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
    """Mean of validation and test quality: of tied options with about the same cost, the highest is taken."""
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
        if option.latency_p95_ms is None:
            clauses.append("its p95 latency is unknown (it needs 59 samples: raise evaluation.latency_requests)")
        elif option.latency_p95_ms > constraints.latency_p95_ms:
            clauses.append(f"its p95 latency {option.latency_p95_ms:.1f} ms is above {constraints.latency_p95_ms:g} ms")
    if constraints.training_usd is not None and option.training_usd > constraints.training_usd:
        clauses.append(f"its training at ${option.training_usd:.4g} is above ${constraints.training_usd:g}")
    for name, size, limit in (
        ("peak memory", option.peak_memory_bytes, constraints.memory_mb),
        ("artifact", option.artifact_bytes, constraints.artifact_mb),
    ):
        if limit is not None and size > limit * 1e6:
            clauses.append(f"its {name} of {size / 1e6:.0f} MB is above {limit:g} MB")
    return clauses


def binding(options: Sequence[Option], constraints: Constraints, pairs: Sequence[Paired] = ()) -> list[str]:
    """Constraints without which another option would be recommended, by their name in the task."""
    with_all = recommend(options, constraints, None, pairs).trial
    given = [name for name in Constraints.model_fields if getattr(constraints, name) is not None]
    return [
        name
        for name in given
        if recommend(options, constraints.model_copy(update={name: None}), None, pairs).trial != with_all
    ]


def _nothing_fits(frontier: Sequence[Option], constraints: Constraints) -> str:
    nearest = min(frontier, key=lambda o: len(violations(o, constraints)))
    return (
        f"No option satisfies the constraints; {nearest.name} comes nearest, but "
        + " and ".join(violations(nearest, constraints))
        + "."
    )


def _reason(
    chosen: Option, best: Option, fitting: Sequence[Option], some_violate: bool, pairs: Sequence[Paired]
) -> str:
    within = " that satisfies the constraints" if some_violate else ""
    if len(fitting) == 1:
        return f"{chosen.title} is the only option{within}."
    if chosen.trial == best.trial:
        return (
            f"{chosen.title} has the highest quality{within} ({chosen.quality:.3f}), and no "
            "option of statistically equal quality costs clearly less."
        )
    saved = "a query costs about as much"
    if best.cost_usd_per_1k > chosen.cost_usd_per_1k * SAME_COST:
        saved = f"a query costs {_times(best.cost_usd_per_1k, chosen.cost_usd_per_1k)} times less"
    if latency_ms(best) > latency_ms(chosen) * SAME_COST:
        saved += f" and is answered {_times(latency_ms(best), latency_ms(chosen))} times faster"
    elif latency_ms(chosen) > latency_ms(best) * SAME_COST:
        saved += f", but is answered {_times(latency_ms(chosen), latency_ms(best))} times slower"
    on_test = pairs_with(best.trial, pairs).get(chosen.trial)
    if on_test is not None:
        evidence = (
            f"on {on_test.rows} test rows it differs by "
            f"{difference_text(on_test.difference, on_test.low, on_test.high)}, which may be chance"
        )
    else:
        interval = f"95 % interval [{best.quality_ci[0]:.3f}, {best.quality_ci[1]:.3f}]"
        evidence = f"its quality ({chosen.quality:.3f}) lies within the {interval} of the best"
    return (
        f"{chosen.title} is the cheaper equivalent of the best option{within}, {best.named(f'{best.quality:.3f}')}: "
        f"{evidence}, and {saved}."
    )


def _times(more: float, less: float) -> str:
    return f"{more / less:.2g}" if less else "infinitely many"
