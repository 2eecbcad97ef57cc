"""The volumes at which two options cost the same a month."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import combinations, pairwise, product

from autoadapt.domain.comparison import BreakEven, Terms
from autoadapt.domain.option import Option, RawOption
from autoadapt.domain.verdict import Paired
from autoadapt.economics import costs
from autoadapt.economics.cascade_pricer import pricer_of
from autoadapt.economics.pricer import ONE
from autoadapt.verdict.recommendation import Trade, recommend

TIMES_WITHIN = Decimal("1.1")
"""Measured times of answering are taken to be right to within this factor (see `comparisons.SAME_COST`)."""
MOST_WORSE = 0.1
"""Difference of quality from which cost does not decide between two options."""


def break_evens(
    raws: Sequence[RawOption], options: Sequence[Option], terms: Terms, share: Decimal, pairs: Sequence[Paired]
) -> list[BreakEven]:
    """Break-evens between the options that would be recommended of each method and model alone.

    Nobody would choose by cost between one of them and another that is far worse, so those more than `MOST_WORSE` below
    the best quality among them are left out.

    Args:
        raws: every option that could be recommended.
        options: the same, under the scenario's likely numbers.
        terms: the scenario.
        share: see `economics.pricer.loaded_share`.
        pairs: options compared on test rows.
    """
    by_trial = {r.trial: r for r in raws}
    groups: dict[tuple[str, str], list[Option]] = {}
    for option in options:
        groups.setdefault((option.method, option.model), []).append(option.model_copy(update={"on_frontier": True}))
    advice = [recommend(group, terms.constraints, None, pairs, Trade.of(terms)) for group in groups.values()]
    best = [t for a in advice if (t := a.trial if a.trial is not None else a.best_quality) is not None]
    quality = {o.trial: o.quality_expected for o in options}
    least = max((quality[t] for t in best), default=0.0) - MOST_WORSE
    cost = {o.trial: o.cost_usd_per_1k for o in options}
    ordered = sorted((t for t in best if quality[t] >= least), key=lambda t: cost[t])
    # of up to three options every pair is compared; of more, only neighbours by cost
    compared = list(combinations(ordered, 2)) if len(ordered) <= 3 else list(pairwise(ordered))
    return [break_even(by_trial[a], by_trial[b], terms, share) for a, b in compared]


def break_even(a: RawOption, b: RawOption, terms: Terms, share: Decimal = ONE) -> BreakEven:
    """The volumes at which two options cost the same a month, with a range.

    The range covers times of answering that are wrong by 10 %, short and long written answers, and low and high prices
    of a device-hour that serves (training is paid for at the price of the device that trained).
    """

    def crossings(slower: Decimal, output: int, price: int) -> tuple[list[Decimal], int]:
        first, second = pricer_of(a, terms, share, slower), pricer_of(b, terms, share, 1 / slower)

        def difference(volume: Decimal) -> Decimal:
            cell = terms.cell(output=output, price=price).model_copy(update={"volume": volume})
            return first.month_usd(cell) - second.month_usd(cell)

        return costs.break_even(difference), _sign(difference(Decimal(100)))

    likely, sign = crossings(ONE, 1, 1)
    first, second = (b, a) if sign > 0 else (a, b)
    if not likely:
        cheaper = None if sign == 0 else first.trial
        return BreakEven(trial=first.trial, other=second.trial, volumes=[], low=None, high=None, cheaper=cheaper)
    lengths = (0, 2) if a.free_text or b.free_text else (1,)
    around = [crossings(*case)[0] for case in product((TIMES_WITHIN, 1 / TIMES_WITHIN), lengths, (0, 2))]
    firsts = [volumes[0] for volumes in (likely, *around) if volumes]
    always = all(around)
    return BreakEven(
        trial=first.trial,
        other=second.trial,
        volumes=likely,
        low=min(firsts) if always else None,
        high=max(firsts) if always else None,
    )


def _sign(value: Decimal) -> int:
    return (value > 0) - (value < 0)
