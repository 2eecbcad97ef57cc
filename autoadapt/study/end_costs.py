"""What the end of a search takes of each option, and how it is fitted into the part of the budget that it may take.

At the end options are scored on test rows, measured under load, and some are fitted again. The search keeps back what
that will take, but never more than a tenth of any limit of the budget, and the end takes no more, unless the search has
ended with more of its budget unspent (`autoadapt.assess.allowance`): it scores on fewer test rows, leaves out options
that take long, shortens load tests, and does not begin a learning curve that it cannot finish. What a recommendation
cannot do without (the score of the recommended option and that of the floor) is done whatever it takes.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import TURN_REQUESTS
from autoadapt.domain.outcome import Measurement, Outcome
from autoadapt.domain.task import Economics, Evaluation, Task
from autoadapt.economics.batching import FIRST_SIZES
from autoadapt.economics.rates import least_samples, typical_ms
from autoadapt.prompts.spellings import CASES
from autoadapt.prompts.wordings import kinds_expected
from autoadapt.shelves import METHODS
from autoadapt.study.job_times import scheduled_steps
from autoadapt.study.served_trials import serving_class
from autoadapt.verdict.growth import SHARES

END_SHARE = 0.1
"""Greatest share of each limit of the budget that is kept back for the end of the search, and that it may take, the
final fit apart."""
FINAL_SHARE = 0.25
"""Greatest share that is kept back for the final fit of the best option; it takes what is left in any case."""
LEAST_TEST_ROWS = 100
"""Test rows on which the recommended option and the floor are scored whatever it takes."""
ENOUGH_TEST_ROWS = 300
"""Before all options are scored on fewer test rows than these, those that take longest are left out."""
SCORE_SHARE = 0.75
"""Share of what the end may take that scores on test rows may take: the recommended option is then put under load."""
BATCHED_ROWS = 1300
"""Rows that a load test answers in batches, beside its single requests."""
SIMULATION_SECONDS = 3.0
"""To simulate the queue at all rates afterwards."""
LOADING_SECONDS = 0.5
"""Of a job at the end, to load an option in a process that has loaded its base model; assumed until one has done it."""
CONVERSION_SECONDS = 15.0
"""To convert a model to ONNX: most of it is the exporter's own work, which hardly depends on the number of weights."""
ONNX_ROWS = 600
"""Rows that are answered in batches to compare a model in ONNX with PyTorch, by both together."""
WARM_UP_REQUESTS = 4
"""Requests that are sent before those that count."""
LEAST_IN_TURN = 20
"""Single requests by which options are timed in turn; fewer are not worth loading them."""
REPORT_SECONDS, REPORT_SHARE = 3.0, 0.015
"""Verdict and report take about so many seconds, or this share of the budget's hours where it is more."""


@dataclass(frozen=True)
class Use:
    """What jobs take of a budget, or what is left of it."""

    seconds: float = 0.0
    """Of slots: of jobs side by side each counts."""
    device_seconds: float = 0.0
    usd: float = 0.0
    """Of device time, and billed by providers."""

    def plus(self, other: "Use") -> "Use":
        """Both together."""
        return Use(self.seconds + other.seconds, self.device_seconds + other.device_seconds, self.usd + other.usd)

    def times(self, factor: float) -> "Use":
        """A multiple of it."""
        return Use(self.seconds * factor, self.device_seconds * factor, self.usd * factor)

    def minus(self, other: "Use") -> "Use":
        """What is left of it, at least nothing."""
        return Use(*(max(0.0, a - b) for a, b in zip(self._parts, other._parts, strict=True)))

    def at_least(self, other: "Use") -> "Use":
        """The greater one of each part."""
        return Use(*map(max, self._parts, other._parts))

    def pays_for(self, other: "Use") -> bool:
        """Whether the other fits into this one."""
        return all(a >= b for a, b in zip(self._parts, other._parts, strict=True))

    def units(self, fixed: "Use", each: "Use") -> float:
        """How many units of `each` this one pays for beside something fixed; below 0: not even for that."""
        parts = zip(self._parts, fixed._parts, each._parts, strict=True)
        return min(
            (left - first) / unit if unit > 0 else math.inf if left >= first else -1.0 for left, first, unit in parts
        )

    @property
    def _parts(self) -> tuple[float, float, float]:
        return self.seconds, self.device_seconds, self.usd


UNLIMITED = Use(math.inf, math.inf, math.inf)


def total(uses: Iterable[Use]) -> Use:
    """All together."""
    whole = Use()
    for use in uses:
        whole = whole.plus(use)
    return whole


@dataclass(frozen=True)
class EndCosts:
    """What further jobs on one option will probably take.

    Args:
        row_seconds: to answer a row in a batch.
        alone_seconds: to answer a single request.
        train_seconds: of its training on all rows.
        loading_seconds: of every job, before it answers anything.
        devices: of a slot.
        hour_usd: price of a device-hour.
        row_usd: that providers bill for a row, a judge of its answer included.
        samples: single requests that were timed.
        trained: whether training rows have changed it, so that there can be a learning curve.
        part_share: share of its training that a fit on a part of the rows takes: of a method that trains by gradient
            all of it, or more where it stopped early, for as many steps are done; None: as its share of the rows.
        floor: whether it is one of the simple methods that others are compared with.
        alone: whether nothing else may run while it is measured under load.
        remote: whether it answers behind a server, where it is not measured under load.
        on_frontier: whether no other option dominates it.
        default: whether it is the best default, with which the recommended option is compared.
        serving: its serving class; empty: one of its own.
        wordings: kinds of other wordings that its prompt may have; 0: it is not prompted, or has no prompt of its own.
    """

    row_seconds: float
    alone_seconds: float
    train_seconds: float = 0.0
    loading_seconds: float = LOADING_SECONDS
    devices: int = 1
    hour_usd: float = 0.0
    row_usd: float = 0.0
    samples: int = 0
    trained: bool = False
    part_share: float | None = None
    floor: bool = False
    alone: bool = True
    remote: bool = False
    on_frontier: bool = True
    default: bool = False
    serving: tuple[str, ...] = ()
    wordings: int = 0

    @classmethod
    def of(cls, measurement: Measurement, outcome: Outcome, economics: Economics, candidate: Candidate) -> "EndCosts":
        """From the job that measured an option in full."""
        method = METHODS.get(candidate.method)
        warm = 0.0 if outcome.cold else outcome.seconds - outcome.fit_measure_seconds
        # measured times are those of work alone; a job also takes the time in which it waits for a core
        waiting = 1 / (1 - measurement.waited_share)
        steps = measurement.train_steps
        return cls(
            row_seconds=waiting * measurement.inference_seconds / len(measurement.rows),
            alone_seconds=waiting * typical_ms(measurement.latency_ms or [0.0]) / 1000,
            train_seconds=measurement.train_seconds,
            loading_seconds=LOADING_SECONDS + max(0.0, warm),
            devices=outcome.devices.count,
            hour_usd=float(economics.hour_usd),
            row_usd=(measurement.answering.usd + measurement.judging.usd) / len(measurement.rows),
            samples=len(measurement.latency_ms),
            trained=measurement.parameters_trained > 0,
            part_share=(scheduled_steps(measurement) / steps if steps else 1.0) if method.tunes else None,
            floor=method.floor,
            alone=outcome.devices.accelerator == "cpu",
            remote=not measurement.answering.device_seconds,
            serving=serving_class(candidate),
            wordings=wording_kinds(candidate),
        )

    def use(self, seconds: float, usd: float = 0.0) -> Use:
        """What a job takes that holds a slot for so many seconds and is billed so many USD."""
        held = seconds * self.devices
        return Use(seconds, held, held / 3600 * self.hour_usd + usd)

    @property
    def row(self) -> Use:
        """Of each row that is answered."""
        return self.use(self.row_seconds, self.row_usd)

    def requests(self, evaluation: Evaluation) -> int:
        """Single requests by which it is timed when it is scored: none where it was timed to the end.

        None either where it is measured under load, unless it is on the frontier: a dominated option is shown for
        comparison, and its p95 under load is enough.
        """
        loaded = evaluation.load_requests >= least_samples(95) and not self.remote and not self.on_frontier
        return 0 if loaded or self.samples >= evaluation.latency_requests else evaluation.latency_requests

    def score(self, rows: float, requests: int = 0) -> Use:
        """To be scored on test rows, and timed by single requests."""
        alone = (requests + WARM_UP_REQUESTS) * self.alone_seconds if requests else 0.0
        return self.row.times(rows).plus(self.use(self.loading_seconds + alone))

    def robustness(self, evaluation: Evaluation, rows: int) -> Use:
        """To be scored under other wordings and other spellings, of so many test rows that it is scored on."""
        variants = self.variants(evaluation)
        return self.score(variants * min(rows, evaluation.robustness_rows)) if variants else Use()

    def variants(self, evaluation: Evaluation) -> int:
        """Variants under which it is scored, where its prompt has as many as the task asks for; 0: it is not."""
        count = evaluation.robustness_variants
        return (self.wordings + 1) * count + min(count, len(CASES)) if evaluation.robustness else 0

    def least_load_seconds(self, evaluation: Evaluation) -> float:
        """Shortest load test that is worth its loading: it states a p95 at the rate that is expected, and the greatest
        rate."""
        alone = (WARM_UP_REQUESTS + min(evaluation.load_requests, least_samples(95))) * self.alone_seconds
        return alone + sum(FIRST_SIZES) * self.row_seconds

    def load_test_seconds(self, evaluation: Evaluation) -> float:
        """For which it is measured under load, loading apart, where nothing limits it; 0: it is not."""
        if self.remote or not evaluation.load_requests:
            return 0.0
        seconds = evaluation.load_requests * self.alone_seconds + BATCHED_ROWS * self.row_seconds
        return min(evaluation.load_seconds, seconds)

    def load_test(self, evaluation: Evaluation) -> Use:
        """To be measured under load."""
        seconds = self.load_test_seconds(evaluation)
        return self.use(seconds + SIMULATION_SECONDS + self.loading_seconds) if seconds else Use()

    def onnx_seconds(self, evaluation: Evaluation) -> float:
        """To compare it in ONNX with PyTorch, as if it were no faster, and to measure it under load."""
        single = 2 * (WARM_UP_REQUESTS + evaluation.latency_requests * (1 + 1 / TURN_REQUESTS)) * self.alone_seconds
        return single + ONNX_ROWS * self.row_seconds + self.load_test_seconds(evaluation)

    def onnx_test(self, evaluation: Evaluation) -> Use:
        """To be tried in ONNX."""
        return self.use(CONVERSION_SECONDS + 2 * self.loading_seconds + self.onnx_seconds(evaluation))

    def fit(self, share: float, rows: float) -> Use:
        """To be fitted again on a share of the training rows, and scored on test rows."""
        return self.score(rows).plus(self.use(share * self.train_seconds))

    def fit_part(self, share: float, rows: float) -> Use:
        """The same for a learning curve, whose fits on fewer rows do as many steps as one on all of them."""
        return self.fit(share if self.part_share is None else self.part_share, rows)

    def curve(self, rows: float) -> Use:
        """To be fitted again on every part of the training rows that a learning curve needs."""
        return total(self.fit_part(share, rows) for share in SHARES)


def is_prompted(candidate: Candidate) -> bool:
    """Whether a candidate is a model behind a prompt that is not trained."""
    return "template" in candidate.params and METHODS.get(candidate.method).prompts_alone


def wording_kinds(candidate: Candidate) -> int:
    """Kinds of other wordings that the prompt of a candidate may have; 0: it is not prompted."""
    return kinds_expected(candidate.params) if is_prompted(candidate) else 0


def one_of_each_class(options: Mapping[int, EndCosts]) -> list[int]:
    """Of the options on this machine the first of each serving class, which are timed in turn; empty: there is one."""
    first: dict[object, int] = {}
    for trial, costs in options.items():
        if not costs.remote:
            first.setdefault(costs.serving or trial, trial)
    return [*first.values()] if len(first) > 1 else []


def in_turn(options: Mapping[int, EndCosts], requests: float) -> Use:
    """To load one option of each serving class and to time them by so many single requests each, in turn."""
    timed = [options[trial] for trial in one_of_each_class(options)]
    sent = WARM_UP_REQUESTS + requests * (1 + 1 / TURN_REQUESTS)
    return total(costs.use(costs.loading_seconds + sent * costs.alone_seconds) for costs in timed)


def wanted_in_turn(options: Mapping[int, EndCosts], evaluation: Evaluation) -> Use:
    """The same with as many requests as time a fit; nothing where these are too few."""
    requests = evaluation.latency_requests
    return in_turn(options, requests) if requests >= LEAST_IN_TURN else Use()


def end_limits(task: Task, slots: int, devices: int, share: float = END_SHARE) -> Use:
    """What the end may take in all: a tenth of each limit of the budget; infinite where there is none.

    Args:
        task: its budget.
        slots: jobs side by side.
        devices: of one slot.
        share: of each limit.
    """
    budget = task.budget
    hours = math.inf if budget.hours is None else budget.hours * 3600
    held = math.inf if budget.device_hours is None else budget.device_hours * 3600
    usd = math.inf if budget.usd is None else float(budget.usd)
    return Use(hours * slots, min(held, hours * slots * devices), usd).times(share)


def wanted_at_the_end(
    options: Sequence[EndCosts], evaluation: Evaluation, rows: int, most: float, idle: int = 1
) -> float:
    """Device-seconds to be kept back for the end of a search.

    What scores, load tests, times in turn, perturbations, a learning curve and further seeds of these options will
    probably take, but never more than `most`, unless the best option and the floor alone need more to be scored.
    Nothing is kept for perturbations, a learning curve or seeds that cannot be paid for beside the scores and a load
    test of the best option.

    Args:
        options: that are still to be scored, the best first.
        evaluation: of the task.
        rows: test rows there are.
        most: device-seconds.
        idle: slots that are held while an option is measured alone, or while the last one is scored.
    """
    if not options:
        return 0.0
    scores = total(option.score(rows, option.requests(evaluation)) for option in options).device_seconds
    loads = [option.load_test(evaluation).device_seconds * (idle if option.alone else 1) for option in options]
    turns = wanted_in_turn(dict(enumerate(options)), evaluation).device_seconds * idle
    wanted, least = scores + sum(loads) + turns, scores + loads[0]
    trained = [option for option in options if option.trained]
    extras = [total(option.robustness(evaluation, rows) for option in options)] if evaluation.robustness else []
    extras += [trained[0].curve(rows)] if trained and evaluation.learning_curve else []
    extras += [option.fit(1.0, rows).times(evaluation.seeds - 1) for option in trained]
    for extra in extras:
        if least + extra.device_seconds <= most:
            wanted, least = wanted + extra.device_seconds, least + extra.device_seconds
    needed = [option for i, option in enumerate(options) if i == 0 or option.floor]
    scored = [option.score(min(rows, LEAST_TEST_ROWS)).device_seconds for option in needed]
    return max(min(wanted, most), sum(scored), max(scored) * idle)


def wanted_for_final_fit(options: Sequence[EndCosts], grown: float, rows: int, most: float, idle: int = 1) -> float:
    """Device-seconds to be kept back for training the best option once more, on validation rows too.

    As long as all these rows take, or as long as its own training took where the former is more than `most`. Nothing
    where that is more, too, or where the best option learns from no rows.

    Args:
        options: that are still to be scored, the best first.
        grown: labelled rows over training rows.
        rows: test rows there are.
        most: device-seconds.
        idle: slots that are held meanwhile.
    """
    best = next(iter(options), None)
    if best is None or not best.trained:
        return 0.0
    wanted = [best.fit(share, rows).device_seconds * idle for share in (grown, 1.0)]
    return next((seconds for seconds in wanted if seconds <= most), 0.0)


def report_seconds(task: Task) -> float:
    """Wall time of the end of a search that is left for the verdict and the report, which no job is; 0: no limit."""
    if task.budget.hours is None:
        return 0.0
    limit = task.budget.hours * 3600
    return min(max(REPORT_SECONDS, REPORT_SHARE * limit), END_SHARE * limit / 2)


def rows_to_score(
    options: Mapping[int, EndCosts],
    needed: Collection[int],
    left: Use,
    evaluation: Evaluation,
    rows: int,
    slots: int = 1,
) -> tuple[int, list[int]]:
    """On how many test rows options are scored, the same for all, and which of them.

    All options on all rows where that can be paid for, else on as many rows as can be. Where those would be fewer than
    `ENOUGH_TEST_ROWS`, the option that takes longest is left out, and so on, the best default last; the options that
    are needed stay, and are scored on at least `LEAST_TEST_ROWS`.

    Args:
        options: by trial.
        needed: trials that are scored whatever it takes.
        left: what it may take.
        evaluation: single requests by which options are timed.
        rows: test rows there are.
        slots: jobs side by side, whose seconds `left` adds up; one option is scored in one of them.
    """
    chosen, in_one = list(options), Use(left.seconds / slots, left.device_seconds, left.usd)
    fixed = {t: costs.score(0, costs.requests(evaluation)) for t, costs in options.items()}
    while True:
        together = left.units(total(fixed[t] for t in chosen), total(options[t].row for t in chosen))
        payable = min([together, *(in_one.units(fixed[t], options[t].row) for t in chosen)])
        optional = [t for t in chosen if t not in needed]
        if payable >= min(rows, ENOUGH_TEST_ROWS) or not optional:
            break
        chosen.remove(max(optional, key=lambda t: (not options[t].default, options[t].score(rows).seconds)))
    return max(min(rows, LEAST_TEST_ROWS), int(min(rows, payable))), chosen
