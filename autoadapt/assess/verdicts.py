"""The verdict at the end of a search: winner, ties, optimism, learning curve, and why, from what is on record."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from autoadapt.assess.answer_parts import parts_are, parts_of
from autoadapt.assess.final_fits import final_fit_of
from autoadapt.assess.jobs import AssessmentJobs
from autoadapt.domain.option import Option, Recommendation
from autoadapt.domain.rows import Row
from autoadapt.domain.verdict import (
    BoughtLabels,
    Compared,
    Curve,
    LabelScore,
    Optimism,
    Paired,
    PartScore,
    Trained,
    Unmeasured,
    Verdict,
)
from autoadapt.economics.usage_costs import usage_usd
from autoadapt.row_statistics import stats_array
from autoadapt.study.search import Search
from autoadapt.verdict.bought_labels import bought_labels
from autoadapt.verdict.comparisons import compared_with, dominated_within_error
from autoadapt.verdict.explanation import next_steps, reasons
from autoadapt.verdict.gain import gain
from autoadapt.verdict.growth import curve, trained_again
from autoadapt.verdict.optimism import optimism, rivals
from autoadapt.verdict.recommendation import best_of, tied_with


def give_verdict(search: Search, jobs: AssessmentJobs, unmeasured: Sequence[Unmeasured] = ()) -> Verdict | None:
    """How far the result can be trusted; None while no option was measured in full.

    Args:
        search: that has ended.
        jobs: what was done with its options.
        unmeasured: methods of which no candidate was measured in full.
    """
    results, resolved = search.results, search.resolved
    frontier = results.frontier()
    if not frontier:
        return None
    pairs, recommendation, options = results.pairs(), results.recommendation(), results.options()
    best = best_of(frontier, pairs)
    shown = best.trial if recommendation.trial is None else recommendation.trial
    stats = _same_rows({t: results.validation_stats(t) for t in results.trials.trials()})
    compared = _compared(best, options, pairs)
    learning = _curve(jobs)
    raws = {t: results.raw(t) for t in results.option_trials()} | {b.raw.trial: b.raw for b in results.cascades()}
    return Verdict(
        gain=gain(recommendation, options, raws, pairs, results.defaults()),
        bought_labels=_bought_labels(search, pairs),
        unmeasured=list(unmeasured),
        best=best.trial,
        compared=compared,
        paired=pairs,
        within_noise=dominated_within_error(
            {t: v for t, v in results.trials.values().items() if t in stats},
            [o.trial for o in frontier if o.trial in stats],
            results.clearly_worse,
            resolved.goals,
        ),
        scored_parts=results.scored_parts(),
        split_differences=resolved.splits.differences,
        labels=_label_scores(search, shown),
        parts=_part_scores(search, shown),
        parts_are=parts_are(resolved),
        metric_notes=[] if (test := results.test_stats(shown)) is None else resolved.metric.notes(test),
        optimism=_optimism(search, next((o for o in options if o.trial == recommendation.trial), best), stats),
        final_fit=final_fit_of(jobs),
        trained=_trained(jobs),
        curve=learning,
        waited_share=results.waited_share(),
        why=reasons(options, recommendation, compared, resolved.task.constraints),
        next=_next_steps(search, options, recommendation, learning),
    )


def _bought_labels(search: Search, pairs: Sequence[Paired]) -> BoughtLabels | None:
    """What the labels of a teacher have bought; None: there are none."""
    labels, results = search.resolved.taught.labels, search.results
    if labels is None:
        return None
    usd = float(usage_usd(labels.usage, search.resolved.task.economics))
    trial, other = results.taught_pair.found()
    taught = None if trial is None else (trial, results.trials.record(trial).job.candidate.teacher_rows)
    return bought_labels(labels, usd, taught, other, pairs)


def _same_rows(stats: dict[int, Any]) -> dict[int, Any]:
    """Trials that answered as many rows as the one that answered most: an older run may have used fewer."""
    longest = max(len(s) for s in stats.values())
    return {t: s for t, s in stats.items() if len(s) == longest}


def _optimism(search: Search, option: Option, stats: dict[int, Any]) -> Optimism:
    """Of the option that is recommended, among those from which it was chosen by expected quality.

    Args:
        search: that has ended.
        option: recommended, or the best one.
        stats: validation rows of every trial measured in full on as many of them.
    """
    resolved, trials = search.resolved, search.results.trials
    uncertain = [goal.name for goal in resolved.goals if goal.uncertain]
    values = {
        t: {**v, **dict.fromkeys(uncertain, trials.expected(t))} for t, v in trials.values().items() if t in stats
    }
    known = option.trial in values
    among = {t: stats[t] for t in rivals(option.trial, values, resolved.goals)} if known else {}
    expected = {t: trials.expected_quality(t) for t in among}
    return optimism(option, resolved.metric, among, resolved.task.seed, expected)


def _next_steps(
    search: Search, options: list[Option], recommendation: Recommendation, learning: Curve | None
) -> list[str]:
    rows = len(search.resolved.splits.train), search.resolved.validation_rows
    return next_steps(options, recommendation, learning, rows, search.next_candidate())


def _label_scores(search: Search, trial: int) -> list[LabelScore]:
    """Shares of right answers by label, the worst on test rows first.

    None for a cascade, and where answers are no single labels or no test row was answered.
    """
    splits, results = search.resolved.splits, search.results
    test = results.test_stats(trial)
    if search.resolved.metric.answers != "label" or test is None or trial not in results.trials.trials():
        return []
    validation = results.validation_stats(trial)
    right = [_right_by_label(stats, rows) for stats, rows in ((validation, splits.validation), (test, splits.test))]
    scores = [
        LabelScore(
            label=label,
            validation_rows=len(right[0].get(label, [])),
            validation_right=fmean(right[0].get(label) or [0.0]),
            test_rows=len(right[1][label]),
            test_right=fmean(right[1][label]),
        )
        for label in sorted(right[1])
    ]
    return sorted(scores, key=lambda score: score.test_right)


def _part_scores(search: Search, trial: int) -> list[PartScore]:
    """Scores of parts of the answers; none where no test row was answered, and of a cascade."""
    results, resolved = search.results, search.resolved
    test = results.test_stats(trial)
    if test is None or trial not in results.trials.trials():
        return []
    before = {
        part.name: part for part in parts_of(resolved, results.validation_stats(trial), resolved.splits.validation)
    }
    return [
        PartScore(
            part=part.name,
            validation_rows=before[part.name].rows if part.name in before else 0,
            validation_score=before[part.name].score if part.name in before else 0.0,
            test_rows=part.rows,
            test_score=part.score,
        )
        for part in parts_of(resolved, test, resolved.splits.test)
    ]


def _right_by_label(stats: Any, rows: Sequence[Row]) -> dict[str, list[float]]:
    """By label, whether each of its rows was answered rightly; there may be fewer statistics than rows."""
    right: dict[str, list[float]] = defaultdict(list)
    for row, of_row in zip(rows, stats, strict=False):
        right[row.outputs[0]].append(float(of_row[0]))
    return right


def _compared(best: Option, options: list[Option], pairs: list[Paired]) -> list[Compared]:
    tied = tied_with(best, options, pairs)
    beside_best = compared_with(best.trial, {o.trial for o in options}, pairs)
    return [Compared(**pair.model_dump(), p_holm=p, tied=trial in tied) for trial, (pair, p) in beside_best.items()]


def _curve(jobs: AssessmentJobs) -> Curve | None:
    """The learning curve, from what was trained on parts of the rows; None where that was not done."""
    results, resolved = jobs.results, jobs.resolved
    trial = jobs.curve_trial()
    full = None if trial is None else results.test_stats(trial)
    if trial is None or full is None:
        return None
    stats: dict[int, Any] = {len(resolved.splits.train): full}
    for rows in jobs.curve_sizes():
        if (measured := _scored(jobs, trial, rows, 0)) is not None:
            stats[rows] = measured
    if len(stats) < 3:
        return None
    return curve(resolved.metric, stats, trial, seed=resolved.task.seed)


def _scored(jobs: AssessmentJobs, trial: int, rows: int | None, seed_index: int) -> Any:
    """Statistics of the last measured refit, shape (rows, statistics); None: there is none."""
    measurements = [r.measurement for r in jobs.done(jobs.refit(trial, rows, seed_index))]
    measured = [m for m in measurements if m is not None]
    return stats_array(measured[-1]) if measured else None


def _trained(jobs: AssessmentJobs) -> list[Trained]:
    """Options that were trained with several seeds."""
    resolved, entries = jobs.resolved, []
    for trial in jobs.random_trials():
        first = jobs.results.test_stats(trial)
        others = [_scored(jobs, trial, None, i) for i in range(1, resolved.task.evaluation.seeds)]
        stats = [s for s in [first, *others] if s is not None]
        if first is not None and len(stats) > 1:
            entries.append(trained_again(resolved.metric, stats, trial, resolved.task.seed))
    return entries
