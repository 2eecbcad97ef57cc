"""The report's head and its tables of options."""

from typing import TYPE_CHECKING, Any

from autoadapt.display.answer import Answer
from autoadapt.display.goals import further_goals, goal_text
from autoadapt.display.sentences import cascade_rule
from autoadapt.display.text import dollars, money, params_text, with_interval
from autoadapt.domain.option import Option, number_text
from autoadapt.domain.trial_state import TrialState
from autoadapt.verdict.comparisons import LEVEL, difference_text
from autoadapt.verdict.explanation import SHOWN_AS, p_text
from autoadapt.verdict.robustness import spread_text

if TYPE_CHECKING:
    from autoadapt.runs.study import Study

CENT = "< 1 cent"
"""A bill of less than a cent, in a table."""


def subtitle(study: "Study") -> str:
    """Models, counts of trials, hardware, and the day on which the last trial ended."""
    counts, hardware = study.results, study.lock["hardware"]
    ended = max((r.ended for r in study.rows if r.ended), default="")
    running = sum(r.state in (TrialState.RUNNING, TrialState.PAUSED) for r in study.rows)
    return (
        f"{', '.join(study.task.models)}; {counts.complete} trials measured in full"
        + (f", {running} unfinished" if running else "")
        + f"; {hardware['count']} x {hardware['kind']}"
        + (f"; {ended[:16].replace('T', ' ')}" if ended else "")
    )


def cards(answer: Answer) -> list[dict[str, str]]:
    """The recommended option in a few figures, each with name, value and note; none without a recommendation."""
    chosen, study = answer.chosen, answer.study
    if chosen is None:
        return []
    quality, interval = chosen.best_known_quality
    rows = f"{chosen.test_rows:,} test rows" if chosen.test_quality is not None else "validation rows"
    figures = [(f"{study.task.metric.name} on {rows}", f"{quality:.3f}", f"{interval[0]:.3f} to {interval[1]:.3f}")]
    bills = answer.bills()
    if bills:
        rented = f"{money(bills['always_on'])} if a device is rented" if "always_on" in bills else ""
        figures.append(
            (f"a month, {study.task.economics.queries_per_month:,} queries", money(bills["per_use"], CENT), rented)
        )
    figures.append(_latency_card(chosen, study.task.constraints.latency_p95_ms))
    figures += [(goal.title, goal_text(chosen, goal), "") for goal in further_goals(study.goals)]
    for one in answer.against():
        if one.by:
            figures.append((f"{one.name}{one.rows}: {one.option}", one.quality, f"recommended: {one.by}"))
    return [{"name": name, "value": value, "note": note} for name, value, note in figures]


def _latency_card(chosen: Option, limit: float | None) -> tuple[str, str, str]:
    note = "no limit was set" if limit is None else f"limit {limit:g} ms"
    if chosen.latency_p95_ms is None:
        return "half of the answers within", f"{chosen.latency_p50_ms:.3g} ms", note
    return "95 % of answers within", f"{chosen.latency_p95_ms:.3g} ms", note


def top_row(option: Option, answer: Answer) -> dict[str, Any]:
    """A row of the short table at the top."""
    quality, (low, high) = option.best_known_quality
    role = "" if option.shown_as is None else SHOWN_AS[option.shown_as]
    if option.trial == answer.study.recommendation.floor:
        role = "the floor"
    return {
        "chosen": option.trial == answer.study.recommendation.trial,
        "name": answer.name(option),
        "trial": number_text(option.trial),
        "role": role,
        "quality": f"{quality:.3f}",
        "interval": f"{low:.3f} to {high:.3f}" + ("" if option.test_quality is not None else " (validation)"),
        "month": money(answer.month_usd(option), CENT),
        "per_million": f"${dollars(option.cost_usd_per_1k * 1000)}",
        "p95": _p95(option),
    }


def _p95(option: Option) -> str:
    if option.latency_p95_ms is None:
        return f"{option.latency_p50_ms:.3g} ms (median)"
    return f"{option.latency_p95_ms:.3g} ms{' (network)' if option.network else ''}"


def option_row(option: Option, answer: Answer) -> dict[str, Any]:
    """A row of the full table of options."""
    test, study = option.test_quality_ci, answer.study
    return {
        **top_row(option, answer),
        "validation": with_interval(option.quality, option.quality_ci),
        "test": with_interval(option.test_quality, test) if test and option.test_quality is not None else "-",
        "comparison": _comparison(option, study),
        "training": money(option.training_usd, CENT),
        "further": [goal_text(option, goal) for goal in further_goals(study.goals)],
        "params": answer.renamed(cascade_rule(option)) or params_text(option),
        "calibration": _calibration(option, study),
        "spread": _spread(option),
        "typos": _typos(option),
    }


def _spread(option: Option) -> str:
    """The spread of quality among wordings of its prompt; a dash where it is not known."""
    found = option.robustness.spread if option.robustness is not None else None
    return "-" if found is None else spread_text(found)


def _typos(option: Option) -> str:
    """What typing errors in rows cost; a dash where it is not known."""
    kinds = option.robustness.kinds if option.robustness is not None else []
    found = next((kind for kind in kinds if kind.kind == "typos"), None)
    return "-" if found is None else difference_text(-found.mean, -found.high, -found.low)


def _calibration(option: Option, study: "Study") -> str:
    """Calibration error on test rows in points, before and after calibration; a dash where it is not known."""
    found = next((c for c in study.results.calibration if c.trial == option.trial), None)
    return "-" if found is None else f"{100 * found.error_before:.1f} > {100 * found.error:.1f}"


def _comparison(option: Option, study: "Study") -> str:
    """The option compared with the best one on test rows."""
    verdict = study.verdict
    if verdict is None:
        return ""
    if option.trial == verdict.best:
        return "the best"
    pair = next((c for c in verdict.compared if c.trial == option.trial), None)
    if pair is None:
        return ""
    outcome = "tied" if pair.tied else "differs" if pair.p_holm < LEVEL else "worse on validation rows"
    return f"{outcome}: {100 * pair.difference:+.1f} points, {p_text(pair.p_holm)}"
