"""Tables and the final word, in rich."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from autoadapt.display.terminal.latency import load_lines
from autoadapt.domain.events import Status
from autoadapt.domain.option import Option, Recommendation, Spent
from autoadapt.domain.plan import Plan
from autoadapt.domain.prices import DevicePrice, TokenPrice
from autoadapt.domain.verdict import Verdict
from autoadapt.runs.study import Study

LESS_TOLD = {"warmup_ratio", "weight_decay", "lora_dropout", "lora_alpha"}
"""Parameters left out of tables; files have all."""
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def plain(text: str) -> Text:
    """Text from data or models: control and invisible characters shown as ?, no markup."""
    return Text(without_unseen(text))


def without_unseen(text: str) -> str:
    """Control and invisible characters shown as ?."""
    return UNSEEN.sub("?", text)


def params_text(option: Option) -> str:
    """The parameters that matter, in a line."""
    told = [
        f"{k}={v:.2g}" if isinstance(v, float) else f"{k}={v}" for k, v in option.params.items() if k not in LESS_TOLD
    ]
    return " ".join(told)


CORRECTED = 0.005
"""Difference of quality from which it is told that the frontier goes by another figure than the one shown."""


def frontier_table(options: Sequence[Option], recommended: int | None = None) -> Table:
    """The frontier in figures: quality with interval, on validation and on test rows, cost, latency, training."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("method", no_wrap=True)
    for name in ("quality [95 %]", "test [95 %]", "$ per 1k", "p95 ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for option in options:
        test = "-"
        if option.test_quality is not None and option.test_quality_ci is not None:
            test = with_interval(option.test_quality, option.test_quality_ci)
        table.add_row(
            f"{'* ' if option.trial == recommended else ''}{option.trial}",
            option.method if option.on_frontier else f"{option.method} (base)",
            with_interval(option.quality, option.quality_ci),
            test,
            dollars(option.cost_usd_per_1k),
            p95_text(option),
            style="bold green" if option.trial == recommended else None,
        )
    if any(abs(o.quality - o.quality_expected) > CORRECTED for o in options):
        table.caption = "On the frontier by expected quality: measurements luckier than similar trials count for less."
        table.caption_justify = "left"
    return table


def p95_text(option: Option) -> str:
    """The 95th percentile in milliseconds, where samples allow to state one."""
    return "n too small" if option.latency_p95_ms is None else f"{option.latency_p95_ms:.1f}"


def dollars(value: float) -> str:
    """USD with at least two significant figures."""
    return f"{value:.2f}" if value >= 1 else f"{value:.2g}"


def with_interval(value: float, interval: tuple[float, float]) -> str:
    """Such as ``0.812 [0.750-0.861]``."""
    return f"{value:.3f} [{interval[0]:.3f}-{interval[1]:.3f}]"


def status_lines(status: Status) -> RenderableType:
    """Counts, spend against the budget, time left, the frontier as a small table, the last failure."""
    budget, spent = status.budget, status.spent
    parts = [
        f"trials {spent.trials}" + (f" of {budget.trials}" if budget.trials else ""),
        f"running {len(status.running)}",
        f"complete {status.complete}",
        f"stopped early {status.pruned}",
        f"failed {status.failed}",
        f"cached {status.cached}",
    ]
    money = [
        f"spent ${spent.usd:.4f}" + (f" of ${budget.usd}" if budget.usd is not None else ""),
        f"{duration(spent.wall_seconds)}" + (f" of {budget.hours:g} h" if budget.hours else ""),
        f"devices {duration(spent.device_seconds)}" + (f" of {budget.device_hours:g} h" if budget.device_hours else ""),
    ]
    if status.seconds_left is not None:
        money.append(f"about {duration(status.seconds_left)} left")
    shown: list[RenderableType] = [Text("  ".join(parts)), Text("  ".join(money))]
    if status.frontier:
        shown += [Text(""), small_frontier(status.frontier)]
    if status.last_failure:
        shown += [Text(""), Text("last failure: ").append_text(plain(status.last_failure))]
    return Group(*shown)


def small_frontier(options: Sequence[Option], most: int = 8) -> Table:
    """The frontier in a few narrow columns."""
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for name in ("trial", "method", "quality", "$ per 1k", "p95 ms"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for option in options[:most]:
        quality, cost = f"{option.quality:.3f}", dollars(option.cost_usd_per_1k)
        table.add_row(str(option.trial), option.method, quality, cost, p95_text(option))
    if len(options) > most:
        table.add_row("", f"and {len(options) - most} more", "", "", "")
    return table


def print_result(study: Study, report: Path | None) -> None:
    """The end of a search, and of ``autoadapt report``.

    Args:
        study: loaded.
        report: where its HTML report was written; None: nowhere.
    """
    options, advice, summary = study.options, study.recommendation, study.summary
    console = Console(highlight=False)
    by_trial = {o.trial: o for o in options}
    console.print()
    console.print(frontier_table(options, advice.trial))
    console.print()
    several = len({o.model for o in options}) > 1
    for option in options:
        model = f" [{option.model}]" if several else ""
        trained = f"; trained {option.train_seconds:.0f} s" if option.train_seconds else ""
        told = params_text(option) + model + trained
        console.print(Text(f"  {option.trial} {option.method}: ").append_text(plain(told)))
    console.print()
    head = "Recommended: " if advice.trial is not None else "No recommendation: "
    console.print(Text(head, style="bold").append_text(plain(advice.reason)))
    extremes = (
        ("best quality", advice.best_quality),
        ("cheapest", advice.cheapest),
        ("fastest", advice.fastest),
        ("untuned zero-shot prompt", advice.baseline),
    )
    for name, trial in extremes:
        if trial is not None:
            option = by_trial[trial]
            tested = "" if option.test_quality is None else f", {option.test_quality:.3f} on test"
            console.print(
                f"  {name}: trial {trial} ({option.method}), quality {option.quality:.3f}{tested}, "
                f"${dollars(option.cost_usd_per_1k)} per 1k"
            )
    for line in _told_besides(study):
        console.print(plain(line))
    spent = summary["spent"]
    overhead = 1 - spent["fit_measure_seconds"] / spent["device_seconds"] if spent["device_seconds"] else 0.0
    console.print(
        f"Spent: {spent['trials']} trials ({summary['complete']} complete, {summary['pruned']} stopped early, "
        f"{summary['failed']} failed, {summary['cached']} answered from the cache), ${spent['usd']:.4f}, "
        f"{duration(spent['wall_seconds'])}; {overhead:.0%} of device time was imports and loading."
    )
    for method, told in summary["methods"].items():
        console.print(f"  {method}: {told['trials']} trials, {duration(told['device_seconds'])} of device time")
    if study.plan is not None:
        console.print(taken_line(study.plan, Spent.model_validate_json(json.dumps(spent))))
    console.print(f"Files: {study.root}" + (f"; open {report}" if report else ""), soft_wrap=True)


def _told_besides(study: Study) -> list[str]:
    """The verdict, what to try next, and the recommended option under load."""
    verdict, lines = study.verdict, []
    if verdict is not None:
        lines += verdict_lines(verdict) + [f"Next: {line}" for line in verdict.next]
    raw = study.raw(study.recommendation.trial)
    if raw is not None and raw.load is not None and raw.load.runs:
        lines += load_lines(raw.load, study.task.constraints.latency_p95_ms)
    return lines


def verdict_lines(verdict: Verdict) -> list[str]:
    """Ties, optimism, points within noise, other seeds: a sentence each."""
    ties = [c.trial for c in verdict.compared if c.tied]
    lines = []
    if verdict.compared:
        rows = verdict.compared[0].rows
        named = f"trials {', '.join(map(str, ties))}" if len(ties) > 1 else f"trial {ties[0]}" if ties else "none"
        lines.append(
            f"Tied with the best, trial {verdict.best}, as far as validation and {rows} test rows can tell: {named}."
        )
    found = verdict.optimism
    told = (
        f"Optimism: trial {found.trial} was chosen by a validation score of {found.chosen_by:.3f}; the best of "
        f"{found.among} such scores flatters by about {100 * found.expected:.1f} points"
    )
    if found.seen is not None and found.seen_low is not None and found.seen_high is not None:
        told += (
            f", on test rows it scored {100 * -found.seen:+.1f} points [{100 * -found.seen_high:+.1f}, "
            f"{100 * -found.seen_low:+.1f}]"
        )
    lines.append(told + ".")
    if verdict.within_noise:
        lines.append(
            f"Off the frontier only within noise: {', '.join(f'trial {t}' for t in verdict.within_noise)} "
            "(not re-scored)."
        )
    lines += [
        f"Trial {t.trial} with {len(t.qualities)} seeds: {t.mean:.3f} [{t.low:.3f}-{t.high:.3f}] on test rows, seeds "
        f"included; from seed to seed it varies by {100 * t.deviation:.1f} points."
        for t in verdict.trained
    ]
    return lines


def print_advice(advice: Recommendation, binding: Sequence[str], options: Sequence[Option]) -> None:
    """A recommendation on its own: why, what binds, its figures."""
    console = Console(highlight=False)
    head = "Recommended: " if advice.trial is not None else "No recommendation: "
    console.print(Text(head, style="bold").append_text(plain(advice.reason)))
    chosen = [o for o in options if o.trial == advice.trial]
    if binding:
        without = " or ".join(binding)
        console.print(f"Binding: without {without} another option would be recommended.")
    elif chosen:
        console.print("No constraint binds: without any of them the choice would be the same.")
    if chosen:
        console.print()
        console.print(frontier_table(chosen, advice.trial))
        console.print(Text("  ").append_text(plain(params_text(chosen[0]))))


def print_prices(prices: Sequence[DevicePrice | TokenPrice]) -> None:
    """Prices with provider, region, tier, source, date and age."""
    console = Console(highlight=False)
    told = []
    for price in prices:
        if isinstance(price, DevicePrice):
            usd = f"${price.usd_per_hour} / h"
        else:
            cached = "" if price.cached is None else f" / {price.cached} cached"
            usd = f"${price.input} in{cached} / {price.output} out per 1M tokens"
        old = "; older than 60 days" if price.stale_now() else ""
        told.append((price.name, usd, f"{price.source}, {price.date or 'undated'}{old}"))
    wide = [max(len(row[i]) for row in told) for i in (0, 1)]
    for name, usd, source in told:
        console.print(plain(f"{name:<{wide[0]}}  {usd:>{wide[1]}}  {source}"), soft_wrap=True)


def taken_line(plan: Plan, spent: Spent) -> str:
    """Planned against what was really taken, in a line."""
    hours, held = spent.wall_seconds / 3600, spent.device_seconds / 3600
    told = [
        f"{name} {p.likely:.{d}f} [{p.low:.{d}f} - {p.high:.{d}f}], took {took:.{d}f}"
        for name, p, took, d in (
            ("trials", plan.trials, float(spent.trials), 0),
            ("hours", plan.hours, hours, 3),
            ("device-hours", plan.device_hours, held, 3),
        )
    ]
    around = f"[{dollars(plan.usd.low)} - {dollars(plan.usd.high)}]"
    return f"Planned: {'; '.join(told)}; ${dollars(plan.usd.likely)} {around}, took ${dollars(spent.usd)}."


def duration(seconds: float) -> str:
    """Such as ``3 min 05 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
