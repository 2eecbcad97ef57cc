"""How the budget was spent: what became of the candidates, and where the money went."""

from typing import TYPE_CHECKING, Any

from autoadapt.display.text import dollars
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.trial_state import TrialState

if TYPE_CHECKING:
    from autoadapt.runs.study import Study


def funnel(study: "Study") -> list[dict[str, Any]]:
    """Stages with the number of candidates that reached each, and the width of its bar in percent."""
    begun = [r for r in study.rows if r.state != TrialState.CACHED]
    complete = [r for r in begun if r.state == TrialState.COMPLETE]
    shown = [o for o in study.options if o.cascade is None]
    stages = [
        ("candidates that were begun", len(begun)),
        ("gave a measurement", sum(r.quality is not None for r in begun)),
        ("were measured in full", len(complete)),
        ("are shown, scored on test rows", sum(o.test_quality is not None for o in shown)),
        ("have no better one beside them", sum(o.on_frontier for o in shown)),
        ("is recommended", int(study.recommendation.trial is not None)),
    ]
    most = max(1, len(begun))
    return [{"name": name, "count": n, "width": round(100 * n / most, 1)} for name, n in stages]


def spending(study: "Study") -> list[dict[str, Any]]:
    """Where the money went, with the share of each part in percent."""
    spent, options = study.results.spent, {o.trial for o in study.options}

    def usd(rows: list[TrialRow]) -> float:
        return sum(r.usd for r in rows)

    groups = [
        ("trials that became options", usd([r for r in study.rows if r.trial in options])),
        (
            "other trials measured in full",
            usd([r for r in study.rows if r.state == TrialState.COMPLETE and r.trial not in options]),
        ),
        ("trials stopped early", usd([r for r in study.rows if r.state == TrialState.STOPPED_EARLY])),
        ("trials that failed", usd([r for r in study.rows if r.state == TrialState.FAILED])),
    ]
    rest = spent.usd - sum(part for _, part in groups)
    groups.append(("test rows, load tests, final fit, loading", max(0.0, rest)))
    total = max(spent.usd, sum(part for _, part in groups), 1e-12)
    return [
        {
            "name": name,
            "usd": dollars(part),
            "percent": f"{100 * part / total:.0f} %",
            "width": round(100 * part / total, 1),
        }
        for name, part in groups
        if part > 0
    ]
