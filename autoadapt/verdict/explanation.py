"""The verdict in sentences: why this option and not the others, and what to try next."""

import math
from collections.abc import Mapping, Sequence

from autoadapt.domain.option import Option, Recommendation, Role
from autoadapt.domain.task import Constraints
from autoadapt.domain.verdict import Compared, Curve
from autoadapt.verdict.cascades import TOLERATED_LOSS, least_rows
from autoadapt.verdict.comparisons import LEVEL, SAME_COST, SAME_LATENCY
from autoadapt.verdict.option_values import latency_ms
from autoadapt.verdict.recommendation import times_text, violations

SHOWN_AS: Mapping[Role, str] = {
    "floor": "the floor",
    "baseline": "the untuned prompt",
    "default": "the best default",
    "taught": "compared for what labels bought",
    "part": "a part of a cascade",
}
"""What a dominated option is that is shown all the same."""


def reasons(
    options: Sequence[Option], advice: Recommendation, compared: Sequence[Compared], constraints: Constraints
) -> list[str]:
    """Why the recommended option, and why not each of the others.

    Args:
        options: frontier and baseline.
        advice: the recommendation.
        compared: the other options compared with the best one on test rows.
        constraints: of the task.
    """
    chosen = next((o for o in options if o.trial == advice.trial), None)
    if chosen is None:
        return [advice.reason]
    on_test = {c.trial: c for c in compared}
    return [advice.reason] + [_why_not(o, chosen, on_test, constraints) for o in options if o.trial != chosen.trial]


def _why_not(option: Option, chosen: Option, on_test: dict[int, Compared], constraints: Constraints) -> str:
    name = option.named(SHOWN_AS[option.shown_as] if option.shown_as is not None else "")
    name = name[0].upper() + name[1:]
    violated = violations(option, constraints)
    if violated:
        return f"{name} cannot be recommended under the constraints: {' and '.join(violated)}."
    points = 100 * (option.best_known_quality[0] - chosen.best_known_quality[0])
    where = (
        "on test rows" if option.test_quality is not None and chosen.test_quality is not None else "on validation rows"
    )
    quality = f"{abs(points):.1f} points {'better' if points > 0 else 'worse'} {where}"
    if abs(points) < 0.05:
        quality = f"as good {where}"
    pair = on_test.get(option.trial) or on_test.get(chosen.trial)
    if pair is not None and {pair.trial, pair.other} == {option.trial, chosen.trial}:
        quality += f", {_significance(pair)}"
    return f"{name} is {quality}; it {_price(option, chosen)} and {_speed(option, chosen)}."


def _significance(pair: Compared) -> str:
    if pair.tied:
        return "which may be chance"
    if pair.p_holm < LEVEL:
        return f"which is significant ({p_text(pair.p_holm)})"
    return f"which is not significant on test rows ({p_text(pair.p_holm)}), but is on validation rows"


def _price(option: Option, chosen: Option) -> str:
    ratio = ratio_text(option.cost_usd_per_1k, chosen.cost_usd_per_1k, SAME_COST)
    return "costs about as much" if ratio is None else f"costs {ratio}"


def _speed(option: Option, chosen: Option) -> str:
    ratio = ratio_text(1 / (latency_ms(option) or math.inf), 1 / (latency_ms(chosen) or math.inf), SAME_LATENCY)
    faster = ratio is not None and ratio.endswith("more")
    return (
        "answers about as fast"
        if ratio is None
        else f"answers {ratio.split()[0]} times {'faster' if faster else 'slower'}"
    )


def ratio_text(value: float, other: float, same: float) -> str | None:
    """``3.1 times more``, or less; None: about the same."""
    if not value or not other or max(value, other) < same * min(value, other):
        return None
    return f"{times_text(max(value, other) / min(value, other))} times {'more' if value > other else 'less'}"


def p_text(value: float) -> str:
    """A p-value as text; below 0.001 as a bound."""
    return "p < 0.001" if value < 0.001 else f"p {value:.3f}"


def next_steps(
    options: Sequence[Option], advice: Recommendation, curve: Curve | None, rows: tuple[int, int], candidate: str | None
) -> list[str]:
    """The gain to expect of more labels, more validation and test rows, and more search.

    Args:
        options: frontier and baseline.
        advice: the recommendation.
        curve: the learning curve, where it was measured.
        rows: number of training and of validation rows.
        candidate: what the search would try next; None: nothing, or the sampler cannot say.
    """
    sentences, (train_rows, validation_rows) = [], rows
    if curve is not None:
        sentences.append(
            f"{curve.more_rows} more labelled rows (now {train_rows}) would probably change the quality of trial "
            f"{curve.trial} by {100 * curve.gain:+.1f} points [{100 * curve.gain_low:+.1f}, "
            f"{100 * curve.gain_high:+.1f}]: a power law through {len(curve.points)} training sizes."
        )
    elif any(o.train_seconds for o in options):
        sentences.append(
            "The gain of more labels is not known: no learning curve was measured (evaluation.learning_curve is off or "
            "the budget did not allow it)."
        )
    tested = [o.test_rows for o in options if o.test_rows]
    if advice.tied and tested:
        wanted = 4 * max(tested)
        sentences.append(
            f"{len(advice.tied) + 1} options cannot be told apart on {max(tested)} test rows; {wanted} rows would "
            "halve the intervals."
        )
    if len(options) > 1 and validation_rows < least_rows():
        sentences.append(
            f"{validation_rows} validation rows cannot assure that a cascade of two options loses no more than "
            f"{100 * TOLERATED_LOSS:.0f} point; {least_rows()} can, if it loses none of them."
        )
    if candidate is not None:
        sentences.append(f"With more budget the search would try next: {candidate}.")
    return sentences
