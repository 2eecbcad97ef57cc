"""report.html: a study in one file that opens offline and asks nothing of any network.

Whatever comes from data, models or names is text in it: HTML is escaped, JSON cannot end its script element, and the
page's own policy lets no other script run than the two that it comes with.
"""

import base64
import hashlib
import importlib.metadata
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from autoadapt.display.figures import PAIRS, Looks, figure
from autoadapt.display.latency import load_lines
from autoadapt.display.scenarios import break_even_text
from autoadapt.display.tables import (
    dollars,
    duration,
    p95_text,
    params_text,
    taken_line,
    verdict_lines,
    with_interval,
    without_unseen,
)
from autoadapt.domain.files import write_atomic
from autoadapt.domain.option import Option, Spent
from autoadapt.domain.trial import params_line
from autoadapt.domain.trial_row import TrialRow
from autoadapt.errors import Exit, UserError
from autoadapt.pareto.frontier import frontiers_by_method, measured_trials, points
from autoadapt.pareto.reference import hypervolume_share
from autoadapt.study.finished import Study
from autoadapt.verdict.comparisons import LEVEL
from autoadapt.verdict.explanation import p_text

FOLDER = Path(__file__).parent / "report"
LONGEST = 400
"""Characters of a row that are shown."""
FEW_TRIALS = 30
"""Complete trials of a method below which importances are a hint at best."""
TABS = (
    *(("verdict", "Verdict"), ("frontier", "Frontier"), ("money", "Money"), ("latency", "Latency")),
    *(("parameters", "Parameters"), ("trials-tab", "Trials"), ("answers", "Answers"), ("appendix", "Reproduce")),
)
COLUMNS: tuple[tuple[str, str, bool], ...] = (
    *(("trial", "trial", True), ("state", "state", False), ("method", "method", False), ("model", "model", False)),
    *(("quality", "quality", True), ("test_quality", "test", True), ("cost_usd_per_1k", "$ per 1k", True)),
    *(("latency_ms", "latency ms", True), ("rows", "rows", True), ("train_seconds", "train s", True)),
    *(("usd", "spent $", True), ("params", "parameters", False), ("reason", "reason", False)),
)
HOW = (
    "Quality is the task's metric on validation rows, with a 95 % interval (Wilson for shares of right answers, BCa "
    "bootstrap over rows otherwise). The frontier goes by expected quality, which corrects lucky measurements.",
    "Test scores are of rows that the search never saw; frontier options were scored on them once. Their intervals are "
    "of these very weights; trained again they would differ: evaluation.seeds above 1 measures by how much.",
    "Two options are tied when validation and test rows cannot tell them apart: quality within the best one's 95 % "
    "interval, and no significant paired test on test rows (McNemar, or random swaps; Holm's correction).",
    "The optimism to expect of the best of many scores is a bootstrap over rows: chosen on those drawn, scored on "
    "those left out (Tsamardinos et al. 2018).",
    "Cost of 1,000 queries: device time of answering at the throughput of batches, and the option's own training "
    "spread over the queries of the horizon.",
    "Latency: p95 of single requests in the search; of frontier options under load at the end, where measured. Fewer "
    "than 59 samples give no p95, fewer than 299 no p99.",
    "Parameter importances are fANOVA (Hutter et al. 2014) over complete trials of one method; cost and latency by "
    "their logarithm.",
)


def write_report(study: Study, path: Path | None = None) -> Path:
    """Writes the report of a study, finished or still running; returns where it is.

    Args:
        study: freshly loaded.
        path: None: ``report.html`` in the run folder.

    Raises:
        UserError: it cannot be written; an earlier one stays whole.
    """
    path = path or study.root / "report.html"
    try:
        write_atomic(path, render(study))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})", Exit.ENVIRONMENT) from error
    return path


def render(study: Study) -> str:
    """The page as text."""
    from plotly.offline import get_plotlyjs

    scripts = {"plotly": str(get_plotlyjs()), "js": (FOLDER / "report.js").read_text(encoding="utf-8")}
    for name, text in scripts.items():
        if "</script" in text.lower():
            raise ValueError(f"{name} would end its own script element")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, loader=jinja2.FileSystemLoader(FOLDER)
    )
    drawn = dict(_figures(study))
    told = _told(study)
    hashes = " ".join(f"'sha256-{_hash(text)}'" for text in scripts.values())
    return environment.get_template("report.html").render(
        **told,
        drawn=set(drawn),
        figures=_json(drawn),
        script_hashes=Markup(hashes),
        css=Markup((FOLDER / "report.css").read_text(encoding="utf-8")),
        **{name: Markup(text) for name, text in scripts.items()},
    )


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(value: Any) -> Markup:
    """JSON that cannot leave its script element, nor be taken for a comment there."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for bad in "<>&":
        text = text.replace(bad, f"\\u{ord(bad):04x}")
    return Markup(text)


def _figures(study: Study) -> Iterator[tuple[str, dict[str, Any]]]:
    asked: list[tuple[str, str, dict[str, Any]]] = [
        *((f"frontier-{i}", "frontier", {"x": x, "y": y}) for i, (x, y) in enumerate(PAIRS)),
        *((f"cost-{hosting}", "cost", {"hosting": hosting}) for hosting in ("per_use", "always_on")),
        *((kind, kind, {}) for kind in ("hypervolume", "latency", "learning", "loss", "differences")),
        *((f"importance-{i}", "importance", {"method": m}) for i, m in enumerate(_methods(study))),
        *((f"parameters-{i}", "parameters", {"method": m}) for i, m in enumerate(_methods(study))),
    ]
    for key, kind, options in asked:
        try:
            found = figure(study, kind, **options)
        except UserError:
            continue
        # through plotly's own encoder, for its arrays; `template` is left out: the page has its own colours
        plain = json.loads(found.update_layout(template=None).to_json())
        yield key, {"data": plain["data"], "layout": plain["layout"]}


def _methods(study: Study) -> list[str]:
    return Looks(study.rows).methods


def _told(study: Study) -> dict[str, Any]:
    advice = study.recommendation
    chosen = study.option(advice.trial)
    verdict, spent = study.verdict, Spent.model_validate_json(json.dumps(study.summary["spent"]))
    rows = [_row(r) for r in study.rows]
    few = {i.method: i.trials for i in study.importances() if i.trials < FEW_TRIALS}
    told = {
        "name": study.task.name,
        "version": importlib.metadata.version("autoadapt"),
        "subtitle": _subtitle(study),
        "lead": advice.reason,
        "cards": _cards(study, chosen),
        "tabs": TABS,
        "why": verdict.why if verdict is not None else [advice.reason],
        "next": verdict.next if verdict is not None else ["The search has not ended yet."],
        "notes": verdict_lines(verdict) if verdict is not None else [],
        "options": [_option(o, study) for o in study.options],
        "absent": ABSENT,
        "few": [
            f"{m}: only {n} complete trials; take these shares as a hint (below {FEW_TRIALS} they change from search "
            "to search)."
            for m, n in few.items()
        ],
        "method_names": _methods(study),
        "states": sorted({r.state for r in study.rows}),
        "columns": COLUMNS,
        "trials": _json(rows),
        "answers": _answers(study),
        **_volumes(study),
        **_money(study, spent),
        "load": _load(study),
        **_appendix(study),
        "methods_used": HOW,
    }
    return dict(_clean(told))


ABSENT = {
    "learning": "No learning curve was measured: it is trained at the end of a search, where the budget pays for it.",
    "loss": "No option of the frontier was trained.",
    "differences": "Options are compared on test rows at the end of a search; one alone has nothing beside it.",
    "latency": "No request was timed.",
    "importance": "Fewer than four complete trials, or all alike: no importances.",
    "parameters": "Fewer than two trials to draw.",
}


def _clean(value: Any) -> Any:
    """Control and invisible characters shown as ?, in every text."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return without_unseen(value)
    if isinstance(value, Mapping):
        return {k: _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    return value


def _subtitle(study: Study) -> str:
    counts = study.summary
    ended = max((r.ended for r in study.rows if r.ended), default="")
    hardware = study.lock["hardware"]
    running = sum(r.state == "running" for r in study.rows)
    return (
        f"{study.task.metric} on {', '.join(study.task.models)}; {counts['complete']} trials complete, "
        f"{counts['pruned']} stopped early, {counts['failed']} failed, {counts['cached']} from the cache"
        + (f", {running} unfinished" if running else "")
        + f"; {hardware['slots']} slot(s) of {hardware['count']} x {hardware['kind']}"
        + (f"; last trial ended {ended.replace('T', ' ')}" if ended else "")
    )


def _cards(study: Study, chosen: Option | None) -> list[dict[str, str]]:
    if chosen is None:
        return []
    verdict = study.verdict
    baseline = study.option(study.recommendation.baseline)
    quality, around = chosen.told
    rows = f"{chosen.test_rows} test rows" if chosen.test_quality is not None else "validation rows"
    cards = [
        {"name": "recommended", "value": f"trial {chosen.trial}, {chosen.method}", "note": chosen.model},
        {"name": f"quality ({rows})", "value": f"{quality:.3f}", "note": f"95 %: {around[0]:.3f} - {around[1]:.3f}"},
        {
            "name": "1,000 queries",
            "value": f"${dollars(chosen.cost_usd_per_1k)}",
            "note": f"training once ${dollars(chosen.training_usd)}",
        },
        {
            "name": "p95 latency",
            "value": p95_text(chosen) + (" ms" if chosen.latency_p95_ms is not None else ""),
            "note": "" if chosen.requests_per_s is None else f"up to {chosen.requests_per_s:.3g} requests/s",
        },
    ]
    if baseline is not None and baseline.trial != chosen.trial:
        base = baseline.told[0]
        note = f"{100 * (quality - base):+.1f} points by adapting"
        cards.append({"name": "untuned prompt", "value": f"{base:.3f}", "note": note})
    if verdict is not None:
        cards.append(
            {
                "name": "optimism to expect",
                "value": f"{100 * verdict.optimism.expected:.1f} points",
                "note": f"of the best of {verdict.optimism.among} validation scores",
            }
        )
    return cards


def _option(option: Option, study: Study) -> dict[str, Any]:
    verdict, beside = study.verdict, ""
    if verdict is not None:
        told = next((c for c in verdict.compared if c.trial == option.trial), None)
        if option.trial == verdict.best:
            beside = "the best"
        elif told is not None:
            found = "tied" if told.tied else "differs" if told.p_holm < LEVEL else "behind on validation rows"
            beside = f"{found}: {100 * told.difference:+.1f} points, {p_text(told.p_holm)}"
    test = option.test_quality_ci
    return {
        "trial": option.trial,
        "chosen": option.trial == study.recommendation.trial,
        "method": option.method if option.on_frontier else f"{option.method} (untuned, beaten)",
        "validation": with_interval(option.quality, option.quality_ci),
        "test": with_interval(option.test_quality, test) if test and option.test_quality is not None else "-",
        "beside": beside,
        "cost": dollars(option.cost_usd_per_1k),
        "training": dollars(option.training_usd),
        "p95": p95_text(option),
        "rate": "-" if option.requests_per_s is None else f"{option.requests_per_s:.3g}",
        "params": params_text(option),
    }


def _row(row: TrialRow) -> dict[str, Any]:
    """A row of the table of trials: what is shown, and what it is sorted by."""
    reason = f"same as trial {row.same_as}" if row.same_as is not None else (row.reason or "")
    if row.failure is not None:
        reason = f"{row.failure} in {row.stage}: {reason}"
    values = {name: getattr(row, name) for name, _, _ in COLUMNS} | {
        "params": params_line(row.params),
        "reason": reason,
    }
    told = [without_unseen(v)[:LONGEST] if isinstance(v, str) else _short(v) for v in values.values()]
    return {"on_frontier": row.on_frontier, "values": told}


def _short(value: float | None) -> float | None:
    """Six figures are enough to look at; exports have all."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _answers(study: Study) -> list[dict[str, Any]]:
    found = []
    for option in study.options:
        samples = [
            {
                "right": a.right,
                "input": a.input[:LONGEST],
                "expected": " | ".join(a.expected)[:LONGEST],
                "answer": a.answer[:LONGEST],
            }
            for a in study.answers(option.trial)
        ]
        found.append({"title": f"trial {option.trial} ({option.method})", "samples": samples})
    return found


def _volumes(study: Study) -> dict[str, Any]:
    if not measured_trials(study.rows, study.goals):
        return {"volumes": [], "reference": ""}
    reference = study.reference()
    every = {"all methods": study.rows, **{m: [r for r in study.rows if r.method == m] for m in _methods(study)}}
    fronts = frontiers_by_method(study.rows, study.goals)
    return {
        "reference": f"Hypervolume: {reference.description}.",
        "volumes": [
            {
                "name": name,
                "trials": len(measured_trials(rows, study.goals)),
                "front": len(fronts.get(name, [])) if name in fronts else sum(r.on_frontier for r in study.rows),
                "volume": f"{hypervolume_share(points(rows, study.goals), reference):.3f}",
            }
            for name, rows in every.items()
        ],
    }


def _money(study: Study, spent: Spent) -> dict[str, Any]:
    lines = []
    methods = {r.trial: r.method for r in study.raws}
    for hosting, name in (("per_use", "as used"), ("always_on", "day and night")):
        if study.raws:
            lines += [f"{name}: {break_even_text(b, methods)}" for b in study.hosted(hosting).break_even]
    economics = study.task.economics
    told = (
        f"{spent.trials} trials, ${spent.usd:.4f} and {duration(spent.wall_seconds)}, "
        f"{duration(spent.device_seconds)} of device time; failed, stopped and re-scored steps included."
    )
    return {
        "break_evens": lines,
        "price": f"A device-hour at ${float(economics.hour_usd):g} ({study.source}), {economics.queries_per_month:,} "
        f"queries a month over {economics.horizon_months:g} months.",
        "spent": told + (f" {taken_line(study.plan, spent)}" if study.plan is not None else ""),
        "methods": [
            {"name": m, "trials": f["trials"], "steps": f["steps"], "time": duration(f["device_seconds"])}
            for m, f in study.summary["methods"].items()
        ],
    }


def _load(study: Study) -> list[str]:
    lines = []
    for option in study.options:
        raw = study.raw(option.trial)
        if raw is not None and raw.load is not None and raw.load.runs:
            told = load_lines(raw.load, study.task.constraints.latency_p95_ms, f"Trial {option.trial}")
            lines.append(" ".join(line.strip() for line in told))
    return lines or ["Nothing was measured under load."]


def _appendix(study: Study) -> dict[str, Any]:
    lock = study.lock

    def shown(value: Any) -> str:
        return json.dumps(value, indent=1, ensure_ascii=False)

    identity = lock["identity"]
    return {
        "again": f"autoadapt search TASK.yaml with the task below and the same rows (see the hashes); seed "
        f"{study.task.seed}. Any step again: python -m autoadapt.worker {study.root.name}/trials/NNNN/rungN.",
        "versions": shown({"versions": lock["versions"], "hardware": lock["hardware"]}),
        "economics": shown({"price_source": study.source, "economics": lock["task"]["economics"]}),
        "hashes": shown({k: identity[k] for k in ("data", "templates", "instructions", "search_space", "seed")}),
        "task": shown(lock["task"]),
    }
