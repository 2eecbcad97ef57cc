"""The result of a search, as ``autoadapt search`` and ``autoadapt report`` print it."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from autoadapt.display.sentences import (
    cascade_lines,
    first_lines,
    idle_line,
    load_lines,
    onnx_lines,
    plan_line,
    robustness_lines,
    slot_lines,
    trials_text,
    verdict_lines,
)
from autoadapt.display.terminal.options import frontier_table
from autoadapt.display.terminal.plain_text import plain, terminal
from autoadapt.display.text import dollars, duration, params_text
from autoadapt.economics.pricer import load_test

if TYPE_CHECKING:
    from autoadapt.runs.study import Study

SHOWN_LUCK = 0.0005
"""Difference of measured and expected quality from which both are printed."""


def print_result(study: "Study", report: Path | None) -> None:
    """Prints frontier, recommendation, verdict, and what was spent.

    Args:
        study: loaded.
        report: where its HTML report was written; None: nowhere.
    """
    console = terminal()
    console.print()
    console.print(frontier_table(study.options, study.recommendation.trial, study.goals))
    console.print()
    _print_params(console, study)
    console.print()
    _print_recommendation(console, study)
    options = study.options
    described = [*cascade_lines(options), *robustness_lines(options), *onnx_lines(options)]
    for line in [*described, *_verdict_lines(study)]:
        console.print(plain(line))
    _print_spent(console, study)
    console.print(f"Files: {study.root}" + (f"; open {report}" if report else ""), soft_wrap=True)


def _print_params(console: Console, study: "Study") -> None:
    several = len({o.model for o in study.options}) > 1
    for option in (o for o in study.options if o.cascade is None):
        model = f" [{option.model}]" if several else ""
        trained = f"; trained {option.train_seconds:.0f} s" if option.train_seconds else ""
        text = params_text(option) + model + trained
        console.print(Text(f"  {option.trial} {option.method}: ").append_text(plain(text)))


def _print_recommendation(console: Console, study: "Study") -> None:
    advice, by_trial = study.recommendation, {o.trial: o for o in study.options}
    head = "Recommended: " if advice.trial is not None else "No recommendation: "
    console.print(Text(head, style="bold").append_text(plain(advice.reason)))
    for line in [*_month_lines(study), *first_lines(study.verdict)]:
        console.print(plain(line))
    extremes = (
        ("best quality", advice.best_quality),
        ("cheapest", advice.cheapest),
        ("fastest", advice.fastest),
        ("floor", advice.floor),
        ("untuned zero-shot prompt", advice.baseline),
    )
    for name, trial in extremes:
        if trial is not None:
            option = by_trial[trial]
            tested = "" if option.test_quality is None else f", {option.test_quality:.3f} on test"
            # expected quality decides, and may rank options in another order than measured quality
            lucky = trial == advice.best_quality and abs(option.quality_expected - option.quality) >= SHOWN_LUCK
            expected = f" (expected {option.quality_expected:.3f})" if lucky else ""
            console.print(
                f"  {name}: {option.name}, quality {option.quality:.3f}{expected}{tested}, "
                f"${dollars(option.cost_usd_per_1k)} per 1k"
            )


def _month_lines(study: "Study") -> list[str]:
    """What the recommended option costs a month: by use, and on machines that are rented day and night."""
    trial = study.recommendation.trial
    if trial is None or not study.raws:
        return []
    by_use, rented = (
        next((p for p in study.hosted(hosting).priced if p.trial == trial), None)
        for hosting in ("per_use", "always_on")
    )
    if by_use is None or rented is None:
        return []
    queries = f"{study.task.economics.queries_per_month:,} queries a month"
    if not rented.replicas:
        return [f"It costs ${dollars(float(by_use.usd_per_month))} for {queries}, training included."]
    machines = "one device is" if rented.replicas == 1 else f"{rented.replicas} devices are"
    return [
        f"It costs ${dollars(float(by_use.usd_per_month))} for {queries} where its device time alone is paid for, "
        f"training included, and ${dollars(float(rented.usd_per_month))} where {machines} rented day and night."
    ]


def _verdict_lines(study: "Study") -> list[str]:
    """The verdict, what to try next, and the recommended option under load."""
    verdict, lines = study.verdict, []
    if verdict is not None:
        lines += verdict_lines(verdict) + [f"Next: {line}" for line in verdict.next]
    raw = study.raw(study.recommendation.trial)
    if raw is not None and raw.load is not None and raw.load.runs:
        target = study.task.constraints.latency_p95_ms
        lines += load_lines(raw.load, target, raw.latency_error, priced=load_test(raw))
    return lines


def _print_spent(console: Console, study: "Study") -> None:
    results, spent = study.results, study.results.spent
    useful = spent.device_seconds - spent.lost_seconds
    overhead = 1 - spent.fit_measure_seconds / useful if useful else 0.0
    lost = f"; {duration(spent.lost_seconds)} went to jobs that gave nothing" if spent.lost_seconds >= 1 else ""
    console.print(
        f"Spent: {trials_text(results)} ({results.complete} complete, {results.stopped_early} stopped early, "
        f"{results.failed} failed, {results.cached} answered from the cache), ${spent.usd:.4f}, "
        f"{duration(spent.wall_seconds)}; {overhead:.0%} of device time was imports and loading{lost}."
    )
    if idle := idle_line(spent):
        console.print(idle)
    for method, part in results.methods.items():
        console.print(f"  {method}: {part.trials} trials, {duration(part.device_seconds)} of device time")
    for line in slot_lines(results):
        console.print(plain(f"  {line}"))
    for line in results.given_up:
        console.print(plain(f"  given up: {line}"))
    if study.plan is not None:
        console.print(plan_line(study.plan, spent))
