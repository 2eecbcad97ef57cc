"""Cascades of a study's options: built from stored confidences, scored once on test rows, shown where they pay.

Nothing is run. For two options the threshold of the first one's calibrated confidence is chosen on validation rows;
test rows then say how good the cascade is, and whether it is shown. It is shown where all of this holds:

- On test rows it is significantly better than its first part (p below 5 % after Holm's correction for all cascades
  tried), so that the second part is worth asking.
- It either costs clearly less than its second part (by more than the ratio within which costs count as equal), does not
  lose more on test rows than is tolerated, and no paired test there finds it worse; or it is significantly better than
  its second part.
- No option shown, and no other cascade, is as good in every objective and better in one.

At most `MOST_SHOWN` are shown, and one for each second part: the cheapest.

Trials near the frontier may be parts too, once they were scored on test rows. Which of them are worth it
(`Cascades.worth_scoring`) is found by the same rule with validation rows in place of test rows.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from autoadapt.domain.comparison import Terms
from autoadapt.domain.option import Cascade, Option, RawOption, cascade_number
from autoadapt.domain.outcome import Measurement
from autoadapt.domain.verdict import Paired
from autoadapt.economics.cascade_pricer import pricer_of
from autoadapt.pareto.dominance import non_dominated
from autoadapt.row_statistics import stats_array
from autoadapt.runs.values import ReadingError
from autoadapt.study.cascade_options import Parts, Reader, Scores, cascade_option
from autoadapt.study.confidences import Confidences, Split
from autoadapt.study.raw_options import RawOptions
from autoadapt.tasks.resolve import ResolvedTask
from autoadapt.verdict.cascades import TOLERATED_LOSS, Threshold, cascaded, choose_threshold, cross_fitted
from autoadapt.verdict.comparisons import LEVEL, SAME_COST, costs_clearly_less, holm, paired
from autoadapt.verdict.intervals import interval
from autoadapt.verdict.option_values import option_values

MOST_SHOWN = 3


@dataclass(frozen=True)
class Scored:
    """A cascade as rows show it, apart from all costs."""

    chosen: Threshold
    temperature: float
    kept: float
    """Share of the rows on which it is judged that the first part answers."""
    scores: Scores
    test_stats: Any
    """Statistics, shape (rows, statistics)."""
    to_first: Paired
    to_second: Paired


@dataclass(frozen=True)
class Built:
    """A cascade with its costs."""

    raw: RawOption
    option: Option
    scored: Scored


class Cascades:
    """Builds the cascades of a study.

    Args:
        resolved: the task.
        raw_options: makes the raw figures of trials.
        confidences: of the options.
        terms: the task's own economics.
    """

    def __init__(self, resolved: ResolvedTask, raw_options: RawOptions, confidences: Confidences, terms: Terms) -> None:
        self._resolved, self._raw, self._sure, self._terms = resolved, raw_options, confidences, terms
        self._scored: dict[tuple[Any, ...], Scored | None] = {}
        """By the jobs that answered the rows: resampling takes its time, and further jobs change costs alone."""

    def shown(self, options: Sequence[Option]) -> list[Built]:
        """The cascades that are shown, the best first.

        Args:
            options: the trials shown, under the task's economics.
        """
        built = self._all_built(_pairs(options), "test")
        paying = _paying(built, {o.trial: o for o in options})
        fronts = self._non_dominated([*options, *(b.option for b in paying)])
        cheapest: dict[int, Built] = {}
        for b in sorted((b for b in paying if b.raw.trial in fronts), key=lambda b: b.option.cost_usd_per_1k):
            cheapest.setdefault(b.scored.to_second.other, b)
        return sorted(cheapest.values(), key=lambda b: -b.option.quality_expected)[:MOST_SHOWN]

    def worth_scoring(self, options: Sequence[Option], others: Sequence[Option]) -> list[int]:
        """Trials that would be useful parts of cascades, as far as validation rows can tell; the most useful first.

        Such a cascade would be shown if test rows were like validation rows, and it costs clearly less than every
        option and every cascade of `options` that is as good or loses no more than is tolerated.

        Args:
            options: the trials shown, under the task's economics.
            others: trials that are not shown.
        """
        outside = {o.trial for o in others}
        further = [p for p in _pairs([*options, *others]) if len(outside & {p[0].trial, p[1].trial}) == 1]
        paying = _paying(self._all_built(further, "validation"), {o.trial: o for o in [*options, *others]})
        if not paying:
            return []
        among_shown = _paying(self._all_built(_pairs(options), "validation"), {o.trial: o for o in options})
        known = [*options, *(b.option for b in among_shown)]
        fronts = self._non_dominated([*known, *(b.option for b in paying)])
        saved = {b.raw.trial: _saved(b.option, known) for b in paying if b.raw.trial in fronts}
        useful = [b for b in paying if saved.get(b.raw.trial, 0.0) >= SAME_COST]
        useful.sort(key=lambda b: (-saved[b.raw.trial], b.option.cost_usd_per_1k))
        parts = [part for b in useful for part in (b.scored.to_first.other, b.scored.to_second.other)]
        return list(dict.fromkeys(part for part in parts if part in outside))

    def _non_dominated(self, options: Sequence[Option]) -> set[int]:
        goals = self._resolved.goals
        flags = non_dominated(option_values(options, goals), [g.direction == "maximize" for g in goals])
        return {o.trial for o, flag in zip(options, flags, strict=True) if flag}

    def _all_built(self, pairs: Iterable[tuple[Option, Option]], judged_on: Split) -> list[Built]:
        return [b for first, second in pairs if (b := self._built(first, second, judged_on)) is not None]

    def _built(self, first: Option, second: Option, judged_on: Split) -> Built | None:
        """The cascade of two options; None: no threshold is assured by validation rows, or it would be one of
        them, or an objective gives no number for it."""
        judging = 1 if judged_on == "validation" else 2  # of the jobs that answered validation and test rows
        key = (judged_on, *(self._sure.jobs(part.trial)[:judging] for part in (first, second)))
        if key not in self._scored:
            self._scored[key] = self._score(first.trial, second.trial, judged_on)
        scored = self._scored[key]
        if scored is None:
            return None
        trials = (first.trial, second.trial)
        raws = (self._raw.option(first.trial), self._raw.option(second.trial))
        cascade = Cascade(
            first=first.trial,
            second=second.trial,
            first_method=first.method,
            second_method=second.method,
            temperature=scored.temperature,
            threshold=scored.chosen.threshold,
            kept_validation=scored.chosen.kept,
            kept=scored.kept,
            difference=scored.to_second.difference,
            difference_low=scored.to_second.low,
            difference_high=scored.to_second.high,
            under_load=all(raw.load is not None for raw in raws),
            saved=0.0,
        )
        parts = Parts(raws, (self._raw.timed(trials[0]), self._raw.timed(trials[1])))
        reader = Reader(self._resolved.goals, self._resolved.metric, self._resolved.task.economics)
        try:
            raw = cascade_option(cascade, scored.scores, parts, reader)
        except ReadingError:
            return None
        option = pricer_of(raw, self._terms).as_option(self._terms.cell())
        saved = 1 - option.cost_usd_per_1k / second.cost_usd_per_1k if second.cost_usd_per_1k else 0.0
        known = {"cascade": cascade.model_copy(update={"saved": saved})}
        return Built(raw.model_copy(update=known), option.model_copy(update=known), scored)

    def _score(self, first: int, second: int, judged_on: Split) -> Scored | None:
        metric, seed = self._resolved.metric, self._resolved.task.seed
        t = self._sure.temperature(first)
        on_validation, judged = (self._rows(first, second, split) for split in ("validation", judged_on))
        if t is None or on_validation is None or judged is None:
            return None
        chosen = choose_threshold(metric, *on_validation, seed=seed)
        if chosen is None:
            return None
        answered = cross_fitted(metric, *on_validation, seed=seed)
        kept = answered if judged_on == "validation" else judged[0] >= chosen.threshold
        if not 0 < kept.mean() < 1:
            return None
        validation_stats = cascaded(answered, *on_validation[1:])
        stats = cascaded(kept, *judged[1:])
        number = cascade_number(first, second)
        return Scored(
            chosen=chosen,
            temperature=t,
            kept=float(kept.mean()),
            scores=Scores(
                kept=answered,
                quality=metric.value(validation_stats),
                quality_ci=interval(metric, validation_stats, seed),
                test=metric.value(stats),
                test_ci=interval(metric, stats, seed),
                test_rows=len(stats),
            ),
            test_stats=stats,
            to_first=paired(metric, stats, judged[1], (number, first), seed),
            to_second=paired(metric, stats, judged[2], (number, second), seed),
        )

    def _rows(self, first: int, second: int, split: Any) -> tuple[Any, Any, Any] | None:
        """The first part's calibrated confidences, and both parts' statistics; None: not of the same rows."""
        sure = self._sure.of(first, split)
        a, b = self._sure.measurement(first, split), self._sure.measurement(second, split)
        if sure is None or a is None or b is None or not _same_rows(a, b):
            return None
        return sure, stats_array(a), stats_array(b)


def _pairs(options: Sequence[Option]) -> Iterator[tuple[Option, Option]]:
    """Pairs of which the first is clearly cheaper and the second is expected to be better."""
    for first, second in permutations(options, 2):
        cheaper = costs_clearly_less(first.cost_usd_per_1k, second.cost_usd_per_1k)
        if cheaper and first.quality_expected < second.quality_expected:
            yield first, second


def _saved(cascade: Option, known: Sequence[Option]) -> float:
    """The least cost of the known options that lose no more than is tolerated against a cascade, over its own cost."""
    quality = cascade.quality_expected - TOLERATED_LOSS
    least = min((o.cost_usd_per_1k for o in known if o.quality_expected >= quality), default=math.inf)
    return least / cascade.cost_usd_per_1k if cascade.cost_usd_per_1k else math.inf


def _same_rows(first: Measurement, second: Measurement) -> bool:
    return [row.id for row in first.rows] == [row.id for row in second.rows]


def _paying(built: Sequence[Built], options: Mapping[int, Option]) -> list[Built]:
    """Cascades that beat their parts beyond noise; see the head of this file."""
    beside_first = holm({b.raw.trial: b.scored.to_first.p for b in built})
    beside_second = holm({b.raw.trial: b.scored.to_second.p for b in built})
    paying = []
    for b in built:
        to_first, to_second = b.scored.to_first, b.scored.to_second
        worth_asking = to_first.difference > 0 and beside_first[b.raw.trial] < LEVEL
        saves = costs_clearly_less(b.option.cost_usd_per_1k, options[to_second.other].cost_usd_per_1k)
        as_good = to_second.difference >= -TOLERATED_LOSS and (to_second.difference >= 0 or to_second.p >= LEVEL)
        better = to_second.difference > 0 and beside_second[b.raw.trial] < LEVEL
        if worth_asking and ((saves and as_good) or better):
            paying.append(b)
    return paying
