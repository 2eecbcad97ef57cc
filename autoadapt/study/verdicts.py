"""The verdict at the end of a search: winner, ties, optimism, learning curve, and why, from what is on record."""

import dataclasses
from typing import Any

from autoadapt.domain.files import write_json
from autoadapt.domain.option import Option, Recommendation
from autoadapt.domain.verdict import Compared, Curve, Paired, Trained, Verdict
from autoadapt.study.results import Results
from autoadapt.study.search import Search, describe
from autoadapt.verdict.comparisons import LEVEL, against, beaten_within_noise, p_value
from autoadapt.verdict.explanation import next_steps, reasons
from autoadapt.verdict.growth import SHARES, curve, trained_again
from autoadapt.verdict.objectives import stats_array
from autoadapt.verdict.optimism import optimism
from autoadapt.verdict.recommendation import best_of, tied_with
from autoadapt.worker.run import METHODS


def give_verdict(search: Search) -> None:
    """Writes ``verdict.json``: what may be believed of the winner; nothing while no option was measured in full."""
    results = search.results
    options = results.frontier()
    if not options:
        return
    resolved, pairs, advice = results.resolved, results.pairs(), results.recommendation()
    metric, seed = resolved.metric, resolved.task.seed
    best = best_of(options, pairs)
    stats = {t: results.stats(t, "validation") for t in results.points()}
    longest = max(len(s) for s in stats.values())
    stats = {t: s for t, s in stats.items() if len(s) == longest}
    told = results.options()
    compared = _compared(best, told, pairs)
    found = find_curve(results, advice)
    verdict = Verdict(
        best=best.trial,
        compared=compared,
        paired=pairs,
        within_noise=beaten_within_noise(
            {t: p for t, p in results.points().items() if t in stats},
            [o.trial for o in options if o.trial in stats],
            lambda a, b: p_value(metric, stats[a], stats[b], seed) < LEVEL,
        ),
        optimism=optimism(best, metric, stats, seed),
        trained=_trained(results),
        curve=found,
        why=reasons(told, advice, compared, resolved.task.constraints),
        next=next_steps(told, advice, found, len(resolved.splits.train), _next_candidate(search)),
    )
    write_json(search.folder.root / "verdict.json", verdict)


def _compared(best: Option, options: list[Option], pairs: list[Paired]) -> list[Compared]:
    tied = tied_with(best, options, pairs)
    found = against(best.trial, {o.trial for o in options}, pairs)
    return [Compared(**pair.model_dump(), p_holm=p, tied=trial in tied) for trial, (pair, p) in found.items()]


def curve_trial(results: Results, advice: Recommendation) -> int | None:
    """Whose learning curve is told: the recommended option's if it trains, else the best trained one's."""
    trained = [o for o in results.frontier() if METHODS.get(o.method).tunes]
    named = [o.trial for o in trained if o.trial == advice.trial]
    return next(iter(named or [o.trial for o in trained]), None)


def curve_sizes(results: Results) -> list[int]:
    """Parts of the training rows to train on, in rows."""
    rows = len(results.resolved.splits.train)
    return sorted({max(2, round(rows * share)) for share in SHARES} - {rows})


def find_curve(results: Results, advice: Recommendation) -> Curve | None:
    """The learning curve, from what was trained on parts of the rows; None where that was not done."""
    trial = curve_trial(results, advice)
    full = None if trial is None else results.stats(trial, "test")
    if trial is None or full is None:
        return None
    stats: dict[int, Any] = {len(results.resolved.splits.train): full}
    for rows in curve_sizes(results):
        if (found := _scored(results, trial, rows, 0)) is not None:
            stats[rows] = found
    if len(stats) < 3:
        return None
    return curve(results.resolved.metric, stats, trial, seed=results.resolved.task.seed)


def _scored(results: Results, trial: int, rows: int | None, seed_index: int) -> Any:
    done = [r.outcome.measurement for r in results.again(trial, rows, seed_index) if r.outcome is not None]
    measured = [m for m in done if m is not None]
    return stats_array(measured[-1]) if measured else None


def _trained(results: Results) -> list[Trained]:
    found = []
    for trial in results.random_trials():
        own = results.stats(trial, "test")
        others = [_scored(results, trial, None, i) for i in range(1, results.resolved.task.evaluation.seeds)]
        stats = [s for s in [own, *others] if s is not None]
        if own is not None and len(stats) > 1:
            found.append(trained_again(results.resolved.metric, stats, trial, results.resolved.task.seed))
    return found


def _next_candidate(search: Search) -> str | None:
    """What the sampler would run if there were more budget, described in a line."""
    if search.searched_through or not search.sampler.pauses:
        return None
    history = dataclasses.replace(search.history(), may_try=True, left_seconds=None, least_gain=0.0)
    if not any(a.reached for a in history.trials):
        return None
    decision = search.sampler.decide(search.task.seed, history)
    if decision.promote is not None:
        return f"the rest of trial {decision.promote}, which was stopped on a part of the work"
    return None if decision.candidate is None else describe(decision.candidate)
