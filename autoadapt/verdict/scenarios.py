"""A finished study under another use: every option is priced again from its usage; nothing is run."""

from collections.abc import Sequence

import numpy as np

from autoadapt.domain.comparison import Cell, Column, Terms
from autoadapt.domain.objective import COST, DEFAULT_GOALS, LATENCY, Goal
from autoadapt.domain.option import Option, RawOption
from autoadapt.domain.prices import TokenPrice
from autoadapt.domain.verdict import Paired
from autoadapt.economics.api_prices import api_price
from autoadapt.economics.cascade_pricer import pricer_of
from autoadapt.economics.costs import least_usd_per_1k
from autoadapt.economics.pricer import Pricer, loaded_share
from autoadapt.pareto.ties import on_frontier, standing
from autoadapt.verdict.break_evens import break_evens
from autoadapt.verdict.option_values import option_values
from autoadapt.verdict.recommendation import Trade, binding, recommend, violations
from autoadapt.verdict.robustness import greatest_loss

PRICED = ("quality", COST, LATENCY)
"""Objectives that `contenders` compares by the raw figures they are computed from."""


def options_under(
    raws: Sequence[RawOption], terms: Terms, cell: Cell, goals: Sequence[Goal] = DEFAULT_GOALS
) -> list[Option]:
    """Every option under a scenario's numbers; `on_frontier` marks those that no other dominates.

    Args:
        raws: the options of a finished study.
        terms: the scenario.
        cell: its uncertain numbers.
        goals: the objectives of the task.
    """
    share = loaded_share(raws, terms)
    return _options([pricer_of(raw, terms, share) for raw in raws], terms, cell, goals)


def _options(pricers: Sequence[Pricer], terms: Terms, cell: Cell, goals: Sequence[Goal]) -> list[Option]:
    options = [p.as_option(cell) for p in pricers]
    least = float(least_usd_per_1k(cell.volume))
    frontier = {*_frontier(options, range(len(options)), least, goals)}
    fitting = [i for i, o in enumerate(options) if not violations(o, terms.constraints)]
    if len(fitting) < len(options):
        # constraints may limit what is no objective, such as memory, so those that satisfy them have their own frontier
        frontier |= {*_frontier(options, fitting, least, goals)}
    return [o if i in frontier else o.model_copy(update={"on_frontier": False}) for i, o in enumerate(options)]


def _frontier(options: Sequence[Option], indices: Sequence[int], least: float, goals: Sequence[Goal]) -> list[int]:
    """Indices of the options that no other one dominates beyond the error of measurement.

    Args:
        options: all of them.
        indices: of those among which the frontier is sought.
        least: USD per 1,000 queries, the smallest difference in cost that counts.
        goals: the objectives of the task.
    """
    chosen, names = [options[i] for i in indices], [goal.name for goal in goals]
    standings = [
        standing(dict(zip(names, row, strict=True)), goals, o.cost_error, o.latency_error, o.serving_class)
        for row, o in zip(option_values(chosen, goals).tolist(), chosen, strict=True)
    ]
    flags = on_frontier(standings, goals, least)
    return [i for i, flag in zip(indices, flags, strict=True) if flag]


def contenders(raws: Sequence[RawOption], terms: Terms, goals: Sequence[Goal] = DEFAULT_GOALS) -> list[RawOption]:
    """Options that could be recommended: no other is as good in every raw figure that counts, and better in one.

    Cost rises with every figure compared, under any price and volume, so the others need not be priced. Options of the
    task's frontier, those measured under load and cascades are always included. A cascade rules no other option out:
    two parts are served, which may cost more than one even where all figures are smaller.
    """
    trials = [raw for raw in raws if raw.cascade is None]
    if not trials:
        return []
    table = np.array([_losses(raw, terms, goals) for raw in trials])
    included = []
    for i, raw in enumerate(trials):
        dominated = ((table <= table[i]).all(1) & (table < table[i]).any(1)).any()
        tested = raw.load is not None and raw.load.of_trial is None
        if not dominated or raw.on_frontier or tested:
            included.append(raw)
    return [*included, *(raw for raw in raws if raw.cascade is not None)]


def _losses(raw: RawOption, terms: Terms, goals: Sequence[Goal]) -> list[float]:
    """Raw figures from which cost, latency and constraints follow; less is better in each."""
    limits = terms.constraints
    further = [g for g in goals if g.name not in PRICED]
    return [
        -raw.quality_expected,
        raw.answering.total_device_seconds / raw.rows,
        raw.answering.usd / raw.rows,
        raw.training.total_device_seconds,
        raw.training.usd,
        raw.latency_p95_ms if raw.latency_p95_ms is not None else raw.latency_p50_ms,
        raw.peak_memory_bytes if limits.memory_mb is not None else 0,
        raw.artifact_bytes if limits.artifact_mb is not None else 0,
        greatest_loss(raw) if limits.robustness_points is not None else 0,
        raw.decode_share if raw.free_text else 0,
        -float(raw.shares_base) if terms.scenario.hosting == "shared" else 0,
        -raw.quality if limits.quality is not None else 0,
        *(raw.values[g.name] if g.direction == "minimize" else -raw.values[g.name] for g in further),
    ]


def compare(
    raws: Sequence[RawOption],
    terms: Terms,
    api: Sequence[TokenPrice] = (),
    pairs: Sequence[Paired] = (),
    goals: Sequence[Goal] = DEFAULT_GOALS,
) -> Column:
    """One scenario: what to choose, what it costs, how certain that is, and from which volume another is cheaper.

    Args:
        raws: the options of a finished study.
        terms: the scenario.
        api: prices of models at an API, for the same tokens.
        pairs: options compared on test rows.
        goals: the objectives of the task.
    """
    every, raws = raws, contenders(raws, terms, goals)
    share = loaded_share(raws, terms)
    pricers = [pricer_of(raw, terms, share) for raw in raws]
    options = _options(pricers, terms, terms.cell(), goals)
    advice = recommend(options, terms.constraints, None, pairs, Trade.of(terms))
    winners = _winners(pricers, terms, pairs, goals)
    chosen = next((r for r in raws if r.trial == advice.trial), None)
    return Column(
        terms=terms,
        recommended=advice.trial,
        reason=advice.reason,
        binding=binding(options, terms.constraints, pairs, Trade.of(terms)),
        wins=winners.get(advice.trial, 0) if advice.trial is not None else 0,
        cells=len(_cells(pricers, terms)),
        winners=dict(sorted(winners.items(), key=lambda item: -item[1])),
        priced=[p.price(terms.cell()) for p in pricers],
        options=options,
        break_even=break_evens(raws, options, terms, share, pairs),
        api=[api_price(every, chosen, terms, share, quote) for quote in api] if raws else [],
    )


def _winners(pricers: Sequence[Pricer], terms: Terms, pairs: Sequence[Paired], goals: Sequence[Goal]) -> dict[int, int]:
    """Trial -> cells of low, likely and high volume, price and answer length in which it is recommended."""
    winners: dict[int, int] = {}
    for cell in _cells(pricers, terms):
        options = _options(pricers, terms, cell, goals)
        trial = recommend(options, terms.constraints, None, pairs, Trade.of(terms, cell)).trial
        if trial is not None:
            winners[trial] = winners.get(trial, 0) + 1
    return winners


def _cells(pricers: Sequence[Pricer], terms: Terms) -> list[Cell]:
    """The combinations of what is uncertain. Labels do not grow, so without written answers their length is not."""
    lengths = range(3) if any(p.option.free_text for p in pricers) else (1,)
    return [terms.cell(v, p, o) for v in range(3) for p in range(3) for o in lengths]
