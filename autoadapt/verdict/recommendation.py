"""One option out of the frontier, and the reason in one sentence."""

import math
from collections.abc import Sequence

from autoadapt.domain.option import Option, Recommendation
from autoadapt.domain.task import Constraints
from autoadapt.domain.verdict import Paired
from autoadapt.verdict.comparisons import LEVEL, SAME_COST, against, beside


def recommend(
    options: Sequence[Option], constraints: Constraints, baseline: int | None, pairs: Sequence[Paired] = ()
) -> Recommendation:
    """The cheapest option that is as good as the best, among those that hold the constraints.

    As good as the best: its quality lies within the 95 % interval of the best option's quality on validation rows, and
    where both were scored on test rows, a paired test there does not find it worse (Holm's correction over all that
    are compared with the best). So a small gain that no rows can tell from chance is not paid for.

    Args:
        options: measured options, any order.
        constraints: what an option must hold.
        baseline: trial of the untuned prompt, for the record.
        pairs: options compared on test rows.
    """
    frontier = [o for o in options if o.on_frontier]
    if not frontier:
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
    fitting = [o for o in frontier if not broken(o, constraints)]
    best = max(frontier, key=lambda o: o.quality_expected)
    common = {
        "scenario": "task",
        "best_quality": best.trial,
        "cheapest": min(frontier, key=lambda o: o.cost_usd_per_1k).trial,
        "fastest": min(frontier, key=latency).trial,
        "baseline": baseline,
    }
    if not fitting:
        near = min(frontier, key=lambda o: len(broken(o, constraints)))
        reason = (
            f"No option holds the constraints; trial {near.trial} ({near.method}) comes nearest, but "
            + " and ".join(broken(near, constraints))
        )
        return Recommendation(trial=None, reason=reason + ".", meets_constraints=False, **common)  # type: ignore[arg-type]
    top = best_of(fitting, pairs)
    tied = tied_with(top, fitting, pairs)
    as_good = [o for o in fitting if o.trial == top.trial or o.trial in tied]
    least = min(o.cost_usd_per_1k for o in as_good)
    chosen = max(
        (o for o in as_good if o.cost_usd_per_1k <= least * SAME_COST), key=lambda o: (_evidence(o), -latency(o))
    )
    return Recommendation(
        trial=chosen.trial,
        reason=_reason(chosen, top, fitting, frontier, pairs),
        meets_constraints=True,
        tied=sorted(tied),
        cheap_twin=chosen.trial if chosen.trial != top.trial else None,
        **common,  # type: ignore[arg-type]
    )


def _evidence(option: Option) -> float:
    """Quality by all rows: between ties of about the same cost the one that did better on all of them is taken."""
    if option.test_quality is None:
        return option.quality_expected
    return (option.quality_expected + option.test_quality) / 2


def best_of(options: Sequence[Option], pairs: Sequence[Paired]) -> Option:
    """The highest expected quality; an option that a paired test on test rows finds better takes its place."""
    top = max(options, key=lambda o: o.quality_expected)
    found = against(top.trial, {o.trial for o in options}, pairs)
    better = {t for t, (pair, p) in found.items() if p < LEVEL and pair.difference > 0}
    return max((o for o in options if o.trial in better), key=lambda o: o.test_quality or 0.0, default=top)


def tied_with(top: Option, options: Sequence[Option], pairs: Sequence[Paired]) -> list[int]:
    """Trials of the other options that are as good as the best as far as validation and test rows can tell."""
    others = {o.trial for o in options if o.trial != top.trial}
    found = against(top.trial, others, pairs)
    worse = {t for t, (pair, p) in found.items() if p < LEVEL and pair.difference < 0}
    # where test rows guard against luck, the better of measured and expected quality counts
    quality = {o.trial: max(o.quality, o.quality_expected) if o.trial in found else o.quality_expected for o in options}
    return [o.trial for o in options if o.trial in others - worse and quality[o.trial] >= top.quality_ci[0]]


def broken(option: Option, constraints: Constraints) -> list[str]:
    """What an option breaks, each as a half sentence."""
    said = []
    if constraints.quality is not None and option.quality < constraints.quality:
        said.append(f"its quality {option.quality:.3f} is below {constraints.quality:g}")
    if constraints.cost_usd_per_1k is not None and option.cost_usd_per_1k > constraints.cost_usd_per_1k:
        said.append(f"its cost ${option.cost_usd_per_1k:.4g} per 1k is above ${constraints.cost_usd_per_1k:g}")
    if constraints.latency_p95_ms is not None:
        if option.latency_p95_ms is None:
            said.append("its p95 latency is unknown (n too small: raise evaluation.latency_requests)")
        elif option.latency_p95_ms > constraints.latency_p95_ms:
            said.append(f"its p95 latency {option.latency_p95_ms:.1f} ms is above {constraints.latency_p95_ms:g} ms")
    if constraints.training_usd is not None and option.training_usd > constraints.training_usd:
        said.append(f"its training at ${option.training_usd:.4g} is above ${constraints.training_usd:g}")
    for name, found, limit in (
        ("peak memory", option.peak_memory_bytes, constraints.memory_mb),
        ("artifact", option.artifact_bytes, constraints.artifact_mb),
    ):
        if limit is not None and found > limit * 1e6:
            said.append(f"its {name} of {found / 1e6:.0f} MB is above {limit:g} MB")
    return said


def binding(options: Sequence[Option], constraints: Constraints, pairs: Sequence[Paired] = ()) -> list[str]:
    """Constraints without which another option would be recommended, by their name in the task."""
    with_all = recommend(options, constraints, None, pairs).trial
    given = [name for name in Constraints.model_fields if getattr(constraints, name) is not None]
    return [
        name
        for name in given
        if recommend(options, constraints.model_copy(update={name: None}), None, pairs).trial != with_all
    ]


def recommend_by_weights(
    options: Sequence[Option], constraints: Constraints, weights: tuple[float, float, float]
) -> Recommendation:
    """The option with the greatest weighted sum of quality, low cost and low latency.

    Each is scaled from 0 (worst on the frontier) to 1 (best); cost and latency by their logarithm, for what counts is
    how many times more. With equal weights it is the knee of the frontier: the option farthest from the plane through
    its extremes (Das 1999, On characterizing the knee of the Pareto curve).

    Args:
        options: measured options.
        constraints: what an option must hold.
        weights: of quality, cost, latency; none negative, not all 0.
    """
    plain = recommend(options, constraints, None)
    fitting = [o for o in options if o.on_frontier and not broken(o, constraints)]
    if not fitting:
        return plain
    columns = [
        [o.quality_expected for o in fitting],
        [-math.log(max(o.cost_usd_per_1k, 1e-12)) for o in fitting],
        [-math.log(max(latency(o), 1e-9)) for o in fitting],
    ]
    scaled = [[(v - min(c)) / ((max(c) - min(c)) or 1.0) for v in c] for c in columns]
    scores = [sum(w * c[i] for w, c in zip(weights, scaled, strict=True)) / sum(weights) for i in range(len(fitting))]
    best = max(range(len(fitting)), key=lambda i: scores[i])
    chosen = fitting[best]
    parts = ", ".join(f"{name} {c[best]:.2f}" for name, c in zip(("quality", "cost", "latency"), scaled, strict=True))
    how = "is the knee of the frontier" if len(set(weights)) == 1 else "has the greatest weighted sum"
    told = " : ".join(f"{w:g}" for w in weights)
    others = sorted(scores, reverse=True)
    margin = f", {others[0] - others[1]:.2f} ahead of the next" if len(others) > 1 else ""
    reason = (
        f"Trial {chosen.trial} ({chosen.method}) {how}: quality : cost : latency weigh {told}; of 1 on each scale "
        f"it has {parts}, {scores[best]:.2f} in all{margin}."
    )
    return plain.model_copy(update={"trial": chosen.trial, "reason": reason, "meets_constraints": True})


def latency(option: Option) -> float:
    """What an option is compared by in milliseconds: p95, or the median where there are too few samples for it."""
    return option.latency_p95_ms if option.latency_p95_ms is not None else option.latency_p50_ms


def _reason(
    chosen: Option, top: Option, fitting: Sequence[Option], frontier: Sequence[Option], pairs: Sequence[Paired]
) -> str:
    within = " that holds the constraints" if len(fitting) < len(frontier) else ""
    if len(fitting) == 1:
        return f"Trial {chosen.trial} ({chosen.method}) is the only option{within}."
    interval = f"95 % interval [{top.quality_ci[0]:.3f}, {top.quality_ci[1]:.3f}]"
    if chosen.trial == top.trial:
        return (
            f"Trial {chosen.trial} ({chosen.method}) has the highest quality{within} ({chosen.quality:.3f}), and no "
            f"option as good as far as rows can tell costs clearly less."
        )
    saved = f"a query costs {_times(top.cost_usd_per_1k, chosen.cost_usd_per_1k)} times less"
    if latency(top) > latency(chosen) * SAME_COST:
        saved += f" and is answered {_times(latency(top), latency(chosen))} times faster"
    on_test = beside(top.trial, pairs).get(chosen.trial)
    if on_test is not None:
        told = (
            f"on {on_test.rows} test rows it differs by {round(100 * on_test.difference, 1) + 0.0:+.1f} points "
            f"[{100 * on_test.low:+.1f}, {100 * on_test.high:+.1f}], which may be chance"
        )
    else:
        told = f"its quality ({chosen.quality:.3f}) lies within the {interval} of the best"
    return (
        f"Trial {chosen.trial} ({chosen.method}) is the cheap twin of the best option{within}, trial {top.trial} "
        f"({top.method}, {top.quality:.3f}): {told}, and {saved}."
    )


def _times(more: float, less: float) -> str:
    return f"{more / less:.2g}" if less else "infinitely many"
