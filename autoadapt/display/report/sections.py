"""The report's other tabs: hypervolume, money, load, how to reproduce it."""

import json
from typing import TYPE_CHECKING, Any

from autoadapt.display.answer import renamed
from autoadapt.display.method_style import MethodStyle
from autoadapt.display.option_names import method_name, option_names
from autoadapt.display.sentences import break_even_line, idle_line, load_lines, plan_line, trials_text
from autoadapt.display.text import duration
from autoadapt.domain.proposal import SLOT
from autoadapt.economics.pricer import load_test
from autoadapt.economics.usage_costs import usage_usd
from autoadapt.pareto.frontier import frontier, frontiers_by_method, measured_trials, points
from autoadapt.pareto.reference import hypervolume_share

if TYPE_CHECKING:
    from autoadapt.runs.study import Study

FEW_TRIALS = 30
"""Complete trials of a method below which importances vary from search to search."""


def volumes(study: "Study") -> dict[str, Any]:
    """Hypervolumes of all methods together and of each alone, and the box in which they are stated."""
    if not measured_trials(study.rows, study.goals):
        return {"volumes": [], "reference": ""}
    reference = study.reference()
    fronts = frontiers_by_method(study.rows, study.goals)
    groups = {"all methods": study.rows}
    groups |= {m: [r for r in study.rows if r.method == m] for m in MethodStyle.of(study).methods}
    # as measured, like the volumes; the frontier that is recommended from is chosen by expected quality
    on_frontier = {"all methods": len(frontier(study.rows, study.goals))}
    on_frontier |= {method: len(front) for method, front in fronts.items()}
    return {
        "reference": f"Hypervolume: {reference.description}.",
        "volumes": [
            {
                "name": method_name(name),
                "trials": len(measured_trials(rows, study.goals)),
                "front": on_frontier.get(name, 0),
                "volume": f"{hypervolume_share(points(rows, study.goals), reference):.3f}",
            }
            for name, rows in groups.items()
        ],
    }


def money(study: "Study") -> dict[str, Any]:
    """Break-evens, the price of a device-hour, and the cost of the search by method."""
    spent, economics = study.results.spent, study.task.economics
    lines = []
    for hosting, name in (("per_use", "Paid by use"), ("always_on", "Rented day and night")):
        if study.raws:
            column = study.hosted(hosting)
            names = option_names(column.options)
            lines += [renamed(f"{name}: {break_even_line(b, column.options)}", names) for b in column.break_even]
    spent_line = (
        f"{trials_text(study.results)} took ${spent.usd:.4f} and {duration(spent.wall_seconds)}, "
        f"{duration(spent.device_seconds)} of device time; this includes failed and stopped trials and scoring on test "
        "rows."
    )
    planned = plan_line(study.plan, spent) if study.plan is not None else ""
    lines_of_spend = (spent_line, idle_line(spent), planned)
    return {
        "break_evens": lines,
        "price": f"A device-hour costs ${float(economics.hour_usd):g} ({price_source(study)}); "
        f"{economics.queries_per_month:,} queries a month over {economics.horizon_months:g} months.",
        "spent": " ".join(line for line in lines_of_spend if line),
        "methods": [
            {"name": method_name(m), "trials": part.trials, "jobs": part.jobs, "time": duration(part.device_seconds)}
            for m, part in study.results.methods.items()
        ],
    }


def slots(study: "Study") -> list[dict[str, Any]]:
    """Instructions that were written during the search: who wrote them, what they took and which trials use them."""
    rows = []
    for filled in study.results.slots:
        used = [row.trial for row in study.rows if row.params.get(SLOT) == filled.slot]
        looked_at = len(filled.proposal.tried)
        rows.append(
            {
                "slot": filled.slot,
                "text": filled.instruction,
                "model": filled.model,
                "how": f"{filled.proposer}, for the prompt of trial {filled.trial}; {looked_at} instructions looked at",
                "usd": f"{float(usage_usd(filled.usage, study.task.economics)):.4f}",
                "tokens": f"{filled.usage.tokens_in + filled.usage.tokens_cached + filled.usage.tokens_out:,}",
                "trials": ", ".join(map(str, used)) or "none",
            }
        )
    return rows


def price_source(study: "Study") -> str:
    """Where the price of a device-hour comes from."""
    return str(study.lock.get("price_source", "the task"))


def load_texts(study: "Study") -> list[str]:
    """One line per option that was measured under load."""
    lines = []
    for option in study.options:
        raw = study.raw(option.trial)
        if raw is not None and raw.load is not None and raw.load.runs:
            target = study.task.constraints.latency_p95_ms
            texts = load_lines(raw.load, target, raw.latency_error, f"Trial {option.trial}", load_test(raw))
            lines.append(" ".join(line.strip() for line in texts))
    return lines or ["Nothing was measured under load."]


def few_trials(study: "Study") -> list[str]:
    """A warning for each method with few complete trials."""
    few = {i.method: i.trials for i in study.importances() if i.trials < FEW_TRIALS}
    return [
        f"{method_name(method)}: these shares are computed from only {trials} complete trials; below "
        f"{FEW_TRIALS} they vary from search to search."
        for method, trials in few.items()
    ]


def appendix(study: "Study") -> dict[str, Any]:
    """Versions, prices, hashes and the task, from which the search can be repeated."""
    lock, identity = study.lock, study.lock["identity"]

    def indented(value: Any) -> str:
        return json.dumps(value, indent=1, ensure_ascii=False)

    return {
        "again": "Run autoadapt search TASK.yaml with the task below and the same rows (see the hashes); the seed is "
        f"{study.task.seed}. To repeat one job: python -m autoadapt.worker {study.root.name}/trials/NNNN/rungN.",
        "versions": indented({"versions": lock["versions"], "hardware": lock["hardware"]}),
        "economics": indented({"price_source": price_source(study), "economics": lock["task"]["economics"]}),
        "hashes": indented(
            {k: identity[k] for k in ("data", "templates", "instructions", "search_space", "seed") if k in identity}
        ),
        "task": indented(lock["task"]),
    }
