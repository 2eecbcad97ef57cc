"""The report's header and its tab of the verdict."""

from typing import TYPE_CHECKING, Any

from autoadapt.display.goals import further_goals, goal_text
from autoadapt.display.sentences import cascade_rule, expected_text
from autoadapt.display.text import dollars, p95_text, params_text, with_interval
from autoadapt.domain.option import Option, number_text, trial_name
from autoadapt.domain.trial_state import TrialState
from autoadapt.verdict.comparisons import LEVEL
from autoadapt.verdict.explanation import SHOWN_AS, p_text

if TYPE_CHECKING:
    from autoadapt.runs.study import Study


def subtitle(study: "Study") -> str:
    """Metric, models, counts of trials, hardware, and when the last trial ended."""
    counts, hardware = study.results, study.lock["hardware"]
    ended = max((r.ended for r in study.rows if r.ended), default="")
    running = sum(r.state in (TrialState.RUNNING, TrialState.PAUSED) for r in study.rows)
    return (
        f"{study.task.metric.name} on {', '.join(study.task.models)}; {counts.complete} trials complete, "
        f"{counts.stopped_early} stopped early, {counts.failed} failed, {counts.cached} from the cache"
        + (f", {running} unfinished" if running else "")
        + f"; {hardware['slots']} slot(s) of {hardware['count']} x {hardware['kind']}"
        + (f"; last trial ended {ended.replace('T', ' ')}" if ended else "")
    )


def cards(study: "Study") -> list[dict[str, str]]:
    """The recommended option in a few figures, each with name, value and note; none without a recommendation."""
    chosen = study.option(study.recommendation.trial)
    if chosen is None:
        return []
    quality, interval = chosen.best_known_quality
    rows = f"{chosen.test_rows} test rows" if chosen.test_quality is not None else "validation rows"
    rate = "" if chosen.requests_per_s is None else f"up to {chosen.requests_per_s:.3g} requests/s"
    figures = [
        ("recommended", chosen.name, chosen.model),
        (f"quality ({rows})", f"{quality:.3f}", f"95 %: {interval[0]:.3f} - {interval[1]:.3f}"),
        ("1,000 queries", f"${dollars(chosen.cost_usd_per_1k)}", f"training once ${dollars(chosen.training_usd)}"),
        ("p95 latency", p95_text(chosen) + (" ms" if chosen.latency_p95_ms is not None else ""), rate),
        *((goal.title, goal_text(chosen, goal), "") for goal in further_goals(study.goals)),
    ]
    baseline = study.option(study.recommendation.baseline)
    if baseline is not None and baseline.trial != chosen.trial:
        untuned = baseline.best_known_quality[0]
        figures.append(("untuned prompt", f"{untuned:.3f}", f"{100 * (quality - untuned):+.1f} points by adapting"))
    if study.verdict is not None:
        optimism = study.verdict.optimism
        if (found := expected_text(optimism)) is not None:
            note = f"validation score of {trial_name(optimism.trial)}, chosen among {optimism.options} options"
            figures.append(("expected optimism", found, note))
    return [{"name": name, "value": value, "note": note} for name, value, note in figures]


def option_row(option: Option, study: "Study") -> dict[str, Any]:
    """A row of the table of options."""
    test, role = option.test_quality_ci, option.shown_as
    return {
        "trial": number_text(option.trial),
        "chosen": option.trial == study.recommendation.trial,
        "method": option.method if role is None else f"{option.method} ({SHOWN_AS[role]}, dominated)",
        "validation": with_interval(option.quality, option.quality_ci),
        "test": with_interval(option.test_quality, test) if test and option.test_quality is not None else "-",
        "comparison": _comparison(option, study),
        "cost": dollars(option.cost_usd_per_1k),
        "training": dollars(option.training_usd),
        "p95": p95_text(option),
        "rate": "-" if option.requests_per_s is None else f"{option.requests_per_s:.3g}",
        "further": [goal_text(option, goal) for goal in further_goals(study.goals)],
        "params": cascade_rule(option) or params_text(option),
        "calibration": _calibration(option, study),
    }


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
