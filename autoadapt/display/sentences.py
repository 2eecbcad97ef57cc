"""Results in sentences that terminal and report share."""

import math
from collections.abc import Sequence
from decimal import Decimal

from autoadapt.display.text import dollars, duration, too_few
from autoadapt.domain.comparison import BreakEven
from autoadapt.domain.load import Load
from autoadapt.domain.option import Calibration, Cascade, OnnxServing, Option, Spent, trial_name
from autoadapt.domain.plan import Plan
from autoadapt.domain.verdict import Optimism, Verdict
from autoadapt.economics.queueing import capacity
from autoadapt.economics.rates import least_samples, percentiles
from autoadapt.pareto.ties import SURE
from autoadapt.runs.results import Results
from autoadapt.verdict.comparisons import difference_text
from autoadapt.verdict.robustness import robustness_sentence

MOST_LABELS = 5
"""Labels that are named where test rows differ."""
MOST_PARTS = 10
"""Parts of answers whose scores stand in a sentence; the report has a table of all."""


BUSY = 0.1
"""Share of waiting for a core from which a reader should know of it."""


def first_lines(verdict: Verdict | None) -> list[str]:
    """What the search gained over what it began with, what labels have bought, what a final fit gives, and methods that
    were never measured in full, a line per reason."""
    if verdict is None:
        return []
    lines = [one.sentence for one in (verdict.gain, verdict.bought_labels, verdict.final_fit) if one is not None]
    by_reason: dict[str, list[str]] = {}
    for one in verdict.unmeasured:
        by_reason.setdefault(one.reason, []).append(one.name)
    return lines + [_unmeasured_line(names, reason) for reason, names in by_reason.items()]


def _unmeasured_line(names: Sequence[str], reason: str) -> str:
    """Methods that have the same reason, in a sentence."""
    if len(names) == 1:
        return f"{names[0]} was never measured in full: {reason}."
    return f"{', '.join(names[:-1])} and {names[-1]} were never measured in full: {reason}."


def slot_lines(results: Results) -> list[str]:
    """The instructions that were written during the search, a line each."""
    return [
        f"slot {filled.slot}, written by {filled.model} for trial {filled.trial} from {len(filled.proposal.tried)} "
        f"instructions that were looked at: {' '.join(filled.instruction.split())}"
        for filled in results.slots
    ]


def robustness_lines(options: Sequence[Option]) -> list[str]:
    """What perturbed prompts and rows cost, a sentence or two for each option that was scored under them."""
    return [f"{o.title}: {robustness_sentence(o.robustness)}" for o in options if o.robustness is not None]


def onnx_lines(options: Sequence[Option]) -> list[str]:
    """Which options are served in ONNX, and how much faster that is than PyTorch; a line for each serving class."""
    classes: dict[int, list[Option]] = {}
    for option in options:
        if option.onnx is not None:
            classes.setdefault(option.onnx.of_trial, []).append(option)
    return [_onnx_line([o.trial for o in alike], alike[0].onnx) for alike in classes.values() if alike[0].onnx]


def _onnx_line(trials: Sequence[int], onnx: OnnxServing) -> str:
    many = len(trials) > 1
    agree = "the answers are equal"
    if onnx.largest_difference is not None:
        agree += f", and log-probabilities differ by at most {onnx.largest_difference:.1g}"
    return (
        f"{'Trials' if many else 'Trial'} {', '.join(map(str, trials))} {'are' if many else 'is'} served in ONNX: a "
        f"single request takes {onnx.onnx_ms:.3g} ms in place of {onnx.torch_ms:.3g} in PyTorch, and "
        f"{onnx.onnx_rows_per_s:.3g} rows/s are answered in batches in place of {onnx.torch_rows_per_s:.3g} (measured "
        f"in turn, of trial {onnx.of_trial}; {agree}). `autoadapt export` writes "
        f"{'them' if many else 'it'} so."
    )


def verdict_lines(verdict: Verdict) -> list[str]:
    """Ties, optimism, options dominated within measurement error, variation between seeds: one sentence each."""
    ties = [c.trial for c in verdict.compared if c.tied]
    lines = []
    if verdict.compared:
        rows = verdict.compared[0].rows
        named = ", ".join(map(trial_name, ties)) or "none"
        lines.append(f"Tied with the best option, trial {verdict.best}, on validation and {rows} test rows: {named}.")
    lines += [*verdict.metric_notes, *_part_lines(verdict), *_difference_lines(verdict)]
    lines.append(_optimism_line(verdict.optimism))
    lines += _within_noise_lines(verdict)
    if verdict.waited_share >= BUSY:
        lines.append(
            f"The machine was busy with something else: answers waited for a core {verdict.waited_share:.0%} of the "
            "time. Times of answers leave this out; times of training and of loading contain such waiting. Not all "
            "waiting can be told from work, and cores share caches and memory, so that times of answers may still be "
            "too long."
        )
    lines += [
        f"Trial {t.trial} with {len(t.qualities)} seeds: {t.mean:.3f} [{t.low:.3f}-{t.high:.3f}] on test rows, seeds "
        f"included; the standard deviation between seeds is {100 * t.deviation:.1f} points."
        for t in verdict.trained
    ]
    return lines


def _difference_lines(verdict: Verdict) -> list[str]:
    """What is different in test rows, and by which labels the option suffers; none where nothing is."""
    if not verdict.split_differences:
        return []
    lines = [f"Test rows differ from validation rows: {clause}." for clause in verdict.split_differences]
    worst = [
        f"{score.label} {score.test_right:.0%} of {score.test_rows} ({score.validation_right:.0%} of "
        f"{score.validation_rows})"
        for score in verdict.labels[:MOST_LABELS]
    ]
    more = len(verdict.labels) - len(worst)
    further = f", {more} further in verdict.json" if more else ""
    return [*lines, f"Right on test rows (validation rows), by label: {', '.join(worst)}{further}."] if worst else lines


def _part_lines(verdict: Verdict) -> list[str]:
    """Mean scores of the first parts of the answers in a line; none where the metric knows no parts."""
    shown = verdict.parts[:MOST_PARTS]
    parts = [f"{p.part} {p.test_score:.1%} of {p.test_rows} ({p.validation_score:.1%})" for p in shown]
    further = f", {len(verdict.parts) - len(shown)} further in the report" if len(verdict.parts) > len(shown) else ""
    return [f"Test rows (validation rows), by {verdict.parts_are}: {', '.join(parts)}{further}."] if parts else []


def _within_noise_lines(verdict: Verdict) -> list[str]:
    """The options that are dominated within measurement error, in a line: those scored on test rows apart."""
    tested = {t for pair in verdict.paired for t in (pair.trial, pair.other)} | {*verdict.scored_parts}
    groups = {
        "not scored on test rows": [t for t in verdict.within_noise if t not in tested],
        "scored on test rows": [t for t in verdict.within_noise if t in tested],
    }
    named = [f"{', '.join(map(trial_name, trials))} ({note})" for note, trials in groups.items() if trials]
    return [f"Dominated, but within measurement error: {', '.join(named)}."] if named else []


def _optimism_line(optimism: Optimism) -> str:
    """How far the score of the recommended option is off: by how it was chosen, and by test rows."""
    clauses = []
    if (found := expected_text(optimism)) is not None:
        among = f"chosen among {optimism.options} options" if optimism.options > 1 else "the only option of its kind"
        clauses.append(f"as it was {among}, it is probably {found}")
    if optimism.observed is not None:
        found = excess_text(optimism.observed, optimism.observed_low, optimism.observed_high)
        clauses.append(f"by its test score, it is {found}")
    text = f"Optimism: {trial_name(optimism.trial)} has a validation score of {optimism.validation_quality:.3f}"
    return "; ".join([text, *clauses]) + "."


def expected_text(optimism: Optimism) -> str | None:
    """How far a score is probably off, with its range; None: it is not known."""
    if optimism.expected is None:
        return None
    return excess_text(optimism.expected, optimism.expected_low, optimism.expected_high)


def excess_text(excess: float, low: float | None, high: float | None) -> str:
    """How far a score is off, such as ``too low by 1.8 points [6.5 too low to 2.9 too high]``.

    Args:
        excess: the score less the true one, from -1 to 1.
        low, high: its interval; None: not known, as in results of earlier versions.
    """
    by = in_tenths(excess)
    text = f"too {_way(by)} by {abs(by):.1f} points" if by else "neither too high nor too low"
    if low is None or high is None:
        return text
    ends = in_tenths(low), in_tenths(high)
    first = "" if _way(ends[0]) == _way(ends[1]) else f" too {_way(ends[0])}"
    return f"{text} [{abs(ends[0]):.1f}{first} to {abs(ends[1]):.1f} too {_way(ends[1])}]"


def in_tenths(difference: float) -> float:
    """A difference of quality in points, to a tenth."""
    return round(100 * difference, 1)


def _way(points: float) -> str:
    return "low" if points < 0 else "high"


def cascade_lines(options: Sequence[Option]) -> list[str]:
    """How each cascade answers, how good it is, and what it saves under the task's own economics: one line each."""
    return [_cascade_line(o, o.cascade) for o in options if o.cascade is not None]


def cascade_rule(option: Option) -> str:
    """Which part of a cascade answers, as a clause; empty for a trial."""
    c = option.cascade
    if c is None:
        return ""
    return (
        f"trial {c.first} ({c.first_method}) answers where its calibrated confidence is at least {c.threshold:.3f} "
        f"({c.kept:.0%} of rows), else trial {c.second} ({c.second_method})"
    )


def _cascade_line(option: Option, c: Cascade) -> str:
    quality, (low, high) = option.best_known_quality
    by = difference_text(c.difference, c.difference_low, c.difference_high)
    money = f"saves {c.saved:.0%} of" if c.saved >= 0 else f"adds {-c.saved:.0%} to"
    latency = "its latency is computed from both load tests" if c.under_load else "it was not measured under load"
    return (
        f"{option.title}: {cascade_rule(option)}: {quality:.3f} [{low:.3f}-{high:.3f}] on test rows, {by} from "
        f"trial {c.second}; {money} trial {c.second}'s cost of a query. Both must be served; {latency}."
    )


def calibration_line(found: Calibration) -> str:
    """How far the confidences of an option can be taken for probabilities, in a sentence."""
    return (
        f"Confidences of trial {found.trial} are {100 * found.error_before:.1f} points off on average on "
        f"{found.test_rows} test rows, {100 * found.error:.1f} after calibration (temperature {found.temperature:.2f}, "
        f"from {found.validation_rows} validation rows); chance alone shows {100 * found.error_by_chance:.1f}."
    )


def load_lines(
    load: Load,
    latency_p95_ms: float | None,
    error: float = 0.0,
    subject: str = "Recommended option",
    priced: Load | None = None,
) -> list[str]:
    """An option under load in two lines: at the task's rate, and its greatest rate.

    Args:
        load: at least one run.
        latency_p95_ms: the latency target; None: there is none.
        error: standard error of its times, as a share of them.
        subject: with which the first line begins.
        priced: the same with estimates of what was not measured, see `economics.batching.completed`; None: the same.
    """
    whole = priced or load
    first, found = load.runs[0], capacity(whole, latency_p95_ms)
    figures = percentiles(first.e2el_ms)
    enough = {p: p == 50 or load.single_requests >= least_samples(p) for p in (50, 90, 95, 99)}
    texts = ", ".join(f"p{p} {ms_text(getattr(figures, f'p{p}') if enough[p] else None, p)}" for p in enough)
    target = "without a growing queue"
    if latency_p95_ms is not None:
        target = f"with 99 % of requests within {latency_p95_ms:g} ms"
    most = "at no rate" if found.rate is None else f"{found.rate:.3g} requests/s"
    if error and found.rate is not None:
        low, high = (rate_text(whole, latency_p95_ms, math.exp(sign * SURE * error)) for sign in (1, -1))
        most += f" ({low} to {high} by the error of its times)"
    if not found.measured and found.rate is not None:
        most += ", if it answers one at a time," if whole is load else ", by the times of its evaluation,"
    cold = "" if load.cold_start_s is None else f"; loading it takes {load.cold_start_s:.1f} s"
    return [
        f"{subject} under load, {_requests_text(load)} at {first.rate:.3g}/s: {texts}.",
        f"  It answers {most} on one device {target}{cold}; prefix cache {load.prefix_cache}, {load.engine}.",
    ]


def rate_text(load: Load, latency_p95_ms: float | None, slower: float) -> str:
    """The greatest rate of an option whose answers take `slower` times as long as those measured."""
    found = capacity(load, None if latency_p95_ms is None else latency_p95_ms / slower)
    return "none" if found.rate is None else f"{found.rate / slower:.3g}"


def _requests_text(load: Load) -> str:
    """On what the figures of its runs rest."""
    first = load.runs[0]
    if load.clock != "simulated":
        return f"{first.sent} requests"
    of = "" if load.of_trial is None else f" of trial {load.of_trial}, which is served alike"
    return f"{first.sent * first.stands_for:,.0f} requests simulated from {load.single_requests} measured{of}"


def ms_text(value: float | None, percent: float = 95) -> str:
    """A percentile in milliseconds, or the number of samples that it needs."""
    if value is None:
        return too_few(percent)
    return f"{value:,.0f} ms" if value >= 10_000 else f"{value:.4g} ms"


def break_even_line(pair: BreakEven, options: Sequence[Option]) -> str:
    """A break-even in one line.

    Args:
        pair: of options.
        options: among which both are.
    """
    names_of = {option.trial: option.named(_quality_with_rows(option)) for option in options}

    def name(trial: int) -> str:
        return names_of[trial]

    names = f"{name(pair.trial)} / {name(pair.other)}: "
    if not pair.volumes:
        cheaper = "they cost the same" if pair.cheaper is None else f"{name(pair.cheaper)} is cheaper"
        return f"{names}none in range, {cheaper} at every volume"
    more = len(pair.volumes) - 1
    further = "" if not more else f" ({more} further crossing{'s' if more > 1 else ''})"
    if pair.low is None or pair.high is None:
        around = " (uncertain: with times 10 % off there may be none)"
    else:
        around = f" [{count_text(pair.low)} - {count_text(pair.high)}]"
    return f"{names}from {count_text(pair.volumes[0])}{around} queries a month the second is cheaper{further}"


def _quality_with_rows(option: Option) -> str:
    """On test rows where it was scored on them, else with the rows that it is on."""
    return f"{option.best_known_quality[0]:.3f}" + ("" if option.test_quality is not None else " on validation rows")


def count_text(value: Decimal) -> str:
    """A volume with three significant figures."""
    number = float(value)
    if number <= 0:
        return "0"
    places = 2 - math.floor(math.log10(number))
    shown = min(max(0, places), 2) if number >= 0.1 else places
    return f"{round(number, places):,.{shown}f}"


def trials_text(results: Results) -> str:
    """How many trials were run; simple methods are trials which the budget does not count."""
    counted = results.spent.trials
    simple = results.complete + results.stopped_early + results.failed - counted
    return f"{counted} trials" + (f" and {simple} of simple methods" if simple > 0 else "")


def idle_line(spent: Spent) -> str:
    """What slots without a job took and would cost, in a sentence; empty: less than a second."""
    if spent.idle_seconds < 1:
        return ""
    share = spent.idle_seconds / (spent.idle_seconds + spent.device_seconds)
    return (
        f"Slots had no job for {duration(spent.idle_seconds)} ({share:.0%} of their time): a rented machine bills "
        f"${spent.idle_usd:.4f} for that too, ${spent.usd + spent.idle_usd:.4f} in all; budgets do not count it."
    )


def plan_line(plan: Plan, spent: Spent) -> str:
    """The plan's estimates and what the search really took, in one line."""
    actual = (
        ("trials", plan.trials, float(spent.trials), 0),
        ("hours", plan.hours, spent.wall_seconds / 3600, 3),
        ("device-hours", plan.device_hours, spent.device_seconds / 3600, 3),
    )
    texts = [
        f"{name} {p.likely:.{d}f} [{p.low:.{d}f} - {p.high:.{d}f}], took {took:.{d}f}" for name, p, took, d in actual
    ]
    around = f"[{dollars(plan.usd.low)} - {dollars(plan.usd.high)}]"
    return f"Planned: {'; '.join(texts)}; ${dollars(plan.usd.likely)} {around}, took ${dollars(spent.usd)}."
