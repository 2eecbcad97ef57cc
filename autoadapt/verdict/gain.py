"""What the search gained: the recommended option against the best of the candidates that the study began with."""

from collections.abc import Mapping, Sequence
from typing import Any

from autoadapt.domain.option import Option, RawOption, Recommendation
from autoadapt.domain.verdict import Defaults, Gain, Paired
from autoadapt.verdict.comparisons import LEVEL, SAME_COST, SAME_LATENCY, difference_text, pairs_with, points
from autoadapt.verdict.explanation import ratio_text

HEAD = "Gain of the search:"


def gain(
    advice: Recommendation,
    options: Sequence[Option],
    raws: Mapping[int, RawOption],
    pairs: Sequence[Paired],
    defaults: Defaults,
) -> Gain:
    """Compares the recommended option with the best default in quality, cost and latency.

    Quality is compared on the same test rows (`autoadapt.verdict.comparisons.paired`), not corrected for other
    comparisons, because this is the only one that the sentence states. The option is called better only where the 95 %
    interval of the difference lies above 0 and the test finds it (p below 5 %).

    Args:
        advice: the recommendation.
        options: all that are shown; the best default is among them.
        raws: raw figures of them, cascades included, by trial.
        pairs: options compared on test rows.
        defaults: the candidates that the study began with.
    """
    by_trial = {o.trial: o for o in options}
    chosen = None if advice.trial is None else by_trial.get(advice.trial)
    default = None if defaults.best is None else by_trial.get(defaults.best)
    is_default = chosen is not None and chosen.trial in defaults.measured
    common: dict[str, Any] = {"defaults": defaults, "trial": advice.trial, "is_default": is_default}
    if chosen is None or default is None:
        return Gain(**common, sentence=_sentence(_nothing_to_compare(default, defaults), defaults))
    if chosen.trial == default.trial:
        return Gain(**common, sentence=_sentence(_is_itself_one(chosen), defaults))
    pair = pairs_with(default.trial, pairs).get(chosen.trial)
    latency, of_what = _latencies((chosen, default), raws)
    text = f"{_quality(chosen, default, pair, is_default)}; {_cost(chosen, default)}, and {_speed(latency, of_what)}."
    return Gain(
        **common,
        quality=pair,
        cost_usd_per_1k=(chosen.cost_usd_per_1k, default.cost_usd_per_1k),
        latency_ms=latency,
        sentence=_sentence(f"{_is_itself_one(chosen)} {text[0].upper()}{text[1:]}" if is_default else text, defaults),
    )


def _sentence(text: str, defaults: Defaults) -> str:
    return " ".join(filter(None, [HEAD, text, _measured(defaults)]))


def _measured(defaults: Defaults) -> str:
    """How many of the defaults were measured, so that nobody takes the best of these for the best of all."""
    number, measured = defaults.number, len(defaults.measured)
    if not measured:
        return ""
    if number == measured:
        return (
            "The only default was measured in full." if number == 1 else f"All {number} defaults were measured in full."
        )
    refused = f" ({defaults.refused} of the others cannot work here)" if defaults.refused else ""
    return f"{measured} of {number} defaults were measured in full{refused}; the best default is the best of these."


def _nothing_to_compare(default: Option | None, defaults: Defaults) -> str:
    if not defaults.number:
        return "not known, because the study began without defaults."
    if not defaults.measured:
        one = "its only default was not" if defaults.number == 1 else f"none of its {defaults.number} defaults was"
        refused = f" ({defaults.refused} cannot work here)" if defaults.refused else ""
        return f"not known, because {one} measured in full{refused}."
    if default is None:
        return "not known, because the weights of its defaults were deleted when others dominated them."
    return f"no option is recommended that could be compared with the best default, {default.name}."


def _is_itself_one(chosen: Option) -> str:
    return f"none. {chosen.title} is itself a default: the search found nothing better than its defaults."


def _quality(chosen: Option, default: Option, pair: Paired | None, is_default: bool) -> str:
    best = f"{'the best of them' if is_default else 'the best default'}, {default.name}"
    if pair is None:
        by = points(chosen.quality - default.quality)
        return (
            f"{chosen.name} is not shown to be better than {best}: it differs by {by} points on validation rows, by "
            "which both were chosen; they were not both scored on test rows"
        )
    by = f"{difference_text(pair.difference, pair.low, pair.high)} on {pair.rows} test rows"
    if pair.low > 0 and pair.p < LEVEL:
        return f"{chosen.name} is better than {best}, by {by}"
    if pair.high < 0 and pair.p < LEVEL:
        return f"{chosen.name} is worse than {best}, by {by}"
    return f"{chosen.name} is not shown to be better than {best}: it differs by {by}, which may be chance"


def _cost(chosen: Option, default: Option) -> str:
    costs = (chosen.cost_usd_per_1k, default.cost_usd_per_1k)
    words = f" ({ratio_text(*costs, SAME_COST) or 'about as much'})" if all(costs) or not any(costs) else ""
    return f"it costs ${costs[0]:.3g} per 1k against ${costs[1]:.3g}{words}"


def _speed(latency: tuple[float, float], of_what: str) -> str:
    words = ""
    if all(latency):
        ratio = ratio_text(1 / latency[0], 1 / latency[1], SAME_LATENCY)
        words = " (about as fast)"
        if ratio is not None:
            words = f" ({ratio.split()[0]} times {'faster' if ratio.endswith('more') else 'slower'})"
    return f"its {of_what} is {latency[0]:.3g} ms against {latency[1]:.3g} ms{words}"


def _latencies(options: tuple[Option, Option], raws: Mapping[int, RawOption]) -> tuple[tuple[float, float], str]:
    """Latencies of both in milliseconds that may be compared, and what they are."""
    both = (raws[options[0].trial], raws[options[1].trial])
    loaded = [_under_load(raw) for raw in both]
    p95s = [o.latency_p95_ms for o in (options if loaded[0] == loaded[1] else both)]
    if p95s[0] is None or p95s[1] is None:
        return (both[0].latency_p50_ms, both[1].latency_p50_ms), "median latency"
    return (p95s[0], p95s[1]), "p95 latency" if loaded[0] == loaded[1] else "p95 latency of single requests"


def _under_load(raw: RawOption) -> bool:
    return raw.cascade.under_load if raw.cascade is not None else raw.load is not None
