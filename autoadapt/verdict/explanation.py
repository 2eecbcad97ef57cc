"""Sentences that a founder reads: why this option and not the others, and what to try next."""

import math
from collections.abc import Sequence

from autoadapt.domain.option import Option, Recommendation
from autoadapt.domain.task import Constraints
from autoadapt.domain.verdict import Compared, Curve
from autoadapt.verdict.comparisons import LEVEL, SAME_COST, SAME_LATENCY
from autoadapt.verdict.recommendation import broken, latency


def reasons(
    options: Sequence[Option], advice: Recommendation, compared: Sequence[Compared], constraints: Constraints
) -> list[str]:
    """Why the recommended option, and why not each of the others.

    Args:
        options: frontier and baseline.
        advice: the recommendation.
        compared: the others beside the best option, on test rows.
        constraints: of the task.
    """
    chosen = next((o for o in options if o.trial == advice.trial), None)
    if chosen is None:
        return [advice.reason]
    on_test = {c.trial: c for c in compared}
    return [advice.reason] + [_why_not(o, chosen, on_test, constraints) for o in options if o.trial != chosen.trial]


def _why_not(option: Option, chosen: Option, on_test: dict[int, Compared], constraints: Constraints) -> str:
    name = f"Trial {option.trial} ({option.method}{'' if option.on_frontier else ', the untuned prompt'})"
    against = broken(option, constraints)
    if against:
        return f"{name} breaks a constraint: {' and '.join(against)}."
    points = 100 * (option.told[0] - chosen.told[0])
    where = (
        "on test rows" if option.test_quality is not None and chosen.test_quality is not None else "on validation rows"
    )
    quality = f"{abs(points):.1f} points {'better' if points > 0 else 'worse'} {where}"
    if abs(points) < 0.05:
        quality = f"as good {where}"
    told = on_test.get(option.trial) or on_test.get(chosen.trial)
    if told is not None and {told.trial, told.other} == {option.trial, chosen.trial}:
        quality += f", {_chance(told)}"
    return f"{name} is {quality}; it {_price(option, chosen)} and {_speed(option, chosen)}."


def _chance(told: Compared) -> str:
    if told.tied:
        return "which may be chance"
    if told.p_holm < LEVEL:
        return f"which is hardly chance ({p_text(told.p_holm)})"
    return f"which may be chance on test rows ({p_text(told.p_holm)}), but not on validation rows"


def _price(option: Option, chosen: Option) -> str:
    ratio = _ratio(option.cost_usd_per_1k, chosen.cost_usd_per_1k, SAME_COST)
    return "costs about as much" if ratio is None else f"costs {ratio}"


def _speed(option: Option, chosen: Option) -> str:
    ratio = _ratio(1 / (latency(option) or math.inf), 1 / (latency(chosen) or math.inf), SAME_LATENCY)
    faster = ratio is not None and ratio.endswith("more")
    return (
        "answers about as fast"
        if ratio is None
        else f"answers {ratio.split()[0]} times {'faster' if faster else 'slower'}"
    )


def _ratio(value: float, other: float, same: float) -> str | None:
    """``3.1 times more``, or less; None: about the same."""
    if not value or not other or max(value, other) < same * min(value, other):
        return None
    return f"{max(value, other) / min(value, other):.2g} times {'more' if value > other else 'less'}"


def p_text(value: float) -> str:
    """A p-value, small ones by their bound."""
    return "p < 0.001" if value < 0.001 else f"p {value:.3f}"


def next_steps(
    options: Sequence[Option], advice: Recommendation, curve: Curve | None, train_rows: int, candidate: str | None
) -> list[str]:
    """What more labels, more test rows and more search would probably bring.

    Args:
        options: frontier and baseline.
        advice: the recommendation.
        curve: over training rows, where it was measured.
        train_rows: there are.
        candidate: what the search would try next; None: it has nothing, or cannot tell.
    """
    said = []
    if curve is not None:
        said.append(
            f"{curve.more_rows} more labelled rows (there are {train_rows}) would probably change the quality of trial "
            f"{curve.trial} by {100 * curve.gain:+.1f} points [{100 * curve.gain_low:+.1f}, "
            f"{100 * curve.gain_high:+.1f}]: a power law through {len(curve.points)} training sizes."
        )
    elif any(o.train_seconds for o in options):
        said.append(
            "What more labels would bring is not known: no learning curve was measured (evaluation.learning_curve, or "
            "the budget did not pay for it)."
        )
    tested = [o.test_rows for o in options if o.test_rows]
    if advice.tied and tested:
        wanted = 4 * max(tested)
        said.append(
            f"{len(advice.tied) + 1} options cannot be told apart on {max(tested)} test rows; {wanted} rows would "
            "halve the intervals."
        )
    if candidate is not None:
        said.append(f"With more budget the search would try next: {candidate}.")
    return said
