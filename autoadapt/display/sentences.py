"""Results in sentences that terminal and report share."""

import math
from decimal import Decimal

from autoadapt.display.text import dollars, too_few
from autoadapt.domain.comparison import BreakEven
from autoadapt.domain.load import Load
from autoadapt.domain.option import Spent
from autoadapt.domain.plan import Plan
from autoadapt.domain.verdict import Optimism, Verdict
from autoadapt.economics.rates import percentiles, service_rate


def verdict_lines(verdict: Verdict) -> list[str]:
    """Ties, optimism, options dominated within measurement error, variation between seeds: one sentence each."""
    ties = [c.trial for c in verdict.compared if c.tied]
    lines = []
    if verdict.compared:
        rows = verdict.compared[0].rows
        named = f"trials {', '.join(map(str, ties))}" if len(ties) > 1 else f"trial {ties[0]}" if ties else "none"
        lines.append(f"Tied with the best option, trial {verdict.best}, on validation and {rows} test rows: {named}.")
    lines.append(_optimism_line(verdict.optimism))
    if verdict.within_noise:
        named = ", ".join(f"trial {t}" for t in verdict.within_noise)
        lines.append(f"Dominated, but within measurement error: {named} (not scored on test rows).")
    lines += [
        f"Trial {t.trial} with {len(t.qualities)} seeds: {t.mean:.3f} [{t.low:.3f}-{t.high:.3f}] on test rows, seeds "
        f"included; the standard deviation between seeds is {100 * t.deviation:.1f} points."
        for t in verdict.trained
    ]
    return lines


def _optimism_line(optimism: Optimism) -> str:
    text = (
        f"Optimism: trial {optimism.trial} was selected by its validation score of {optimism.validation_quality:.3f}; "
        f"as the best of {optimism.options} such scores it is probably about {100 * optimism.expected:.1f} points too "
        "high"
    )
    if optimism.observed is None or optimism.observed_low is None or optimism.observed_high is None:
        return text + "."
    ends = f"[{100 * -optimism.observed_high:+.1f}, {100 * -optimism.observed_low:+.1f}]"
    return f"{text}; the test score differs from it by {100 * -optimism.observed:+.1f} points {ends}."


def load_lines(load: Load, latency_p95_ms: float | None, subject: str = "Recommended option") -> list[str]:
    """An option under load in two lines: at the task's rate, and its greatest rate.

    Args:
        load: at least one run.
        latency_p95_ms: the latency target; None: there is none.
        subject: with which the first line begins.
    """
    first, rate = load.runs[0], service_rate(load, latency_p95_ms)
    figures = percentiles(first.e2el_ms)
    texts = ", ".join(f"p{p} {ms_text(getattr(figures, f'p{p}'), p)}" for p in (50, 90, 95, 99))
    target = "without a growing queue"
    if latency_p95_ms is not None:
        target = f"with 99 % of requests within {latency_p95_ms:g} ms"
    most = "less than the lowest rate measured" if rate is None else f"{rate:.3g} requests/s"
    cold = "" if load.cold_start_s is None else f"; loading it takes {load.cold_start_s:.1f} s"
    return [
        f"{subject} under load, {first.sent} requests at {first.rate:.3g}/s: {texts}.",
        f"  It answers {most} on one device {target}{cold}; prefix cache {load.prefix_cache}, {load.engine}.",
    ]


def ms_text(value: float | None, percent: float = 95) -> str:
    """A percentile in milliseconds, or the number of samples that it needs."""
    return too_few(percent) if value is None else f"{value:.4g} ms"


def break_even_line(pair: BreakEven, methods: dict[int, str]) -> str:
    """A break-even in one line.

    Args:
        pair: of options.
        methods: trial -> its method.
    """

    def name(trial: int) -> str:
        return f"trial {trial} ({methods.get(trial, '?')})"

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


def count_text(value: Decimal) -> str:
    """A volume with three significant figures."""
    number = float(value)
    if number <= 0:
        return "0"
    places = 2 - math.floor(math.log10(number))
    return f"{round(number, places):,.{min(max(0, places), 2)}f}"


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
