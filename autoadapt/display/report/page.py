"""report.html: a study in one self-contained file that opens offline.

Data, models and names are shown as text whatever they contain: HTML is escaped, JSON cannot end its script element, and
the page's content security policy allows only the two scripts that belong to it.
"""

import base64
import hashlib
import importlib.metadata
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from autoadapt.display.answer import GAIN, Answer
from autoadapt.display.figures import figure
from autoadapt.display.goals import further_goals, pairs
from autoadapt.display.method_style import MethodStyle
from autoadapt.display.option_names import method_name
from autoadapt.display.report import sections, tables
from autoadapt.display.report.answers import answers
from autoadapt.display.report.funnel import funnel, spending
from autoadapt.display.report.notes import ABSENT, GLOSSARY, TABS
from autoadapt.display.report.trials import trial_cells, trial_columns
from autoadapt.display.report.what_if import what_if
from autoadapt.display.sentences import (
    calibration_line,
    cascade_lines,
    first_lines,
    onnx_lines,
    robustness_lines,
    verdict_lines,
)
from autoadapt.domain.objective import Goal
from autoadapt.errors import UserError
from autoadapt.files import output_file, output_target, write_atomic
from autoadapt.shown_text import printable

if TYPE_CHECKING:
    from autoadapt.runs.study import Study

FOLDER = Path(__file__).parent
SCRIPTS = ("what_if.js", "what_if_panel.js", "report.js")
"""The page's own scripts, in the order in which they run."""


def write_report(study: "Study", path: Path | None = None) -> Path:
    """Writes the report of a study, finished or still running; returns its path.

    Args:
        study: freshly loaded.
        path: None: ``report.html`` in the run folder.

    Raises:
        UserError: it cannot be written; an earlier one stays whole.
    """
    path = path or study.root / "report.html"
    output_target(path)  # before the page is rendered
    page = render(study)
    with output_file(path) as target:
        write_atomic(target, page)
    return path


def render(study: "Study") -> str:
    """The page as text."""
    from plotly.offline import get_plotlyjs

    own = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    scripts = {"plotly": str(get_plotlyjs()), "js": own}
    for name, text in scripts.items():
        if "</script" in text.lower():
            raise ValueError(f"{name} would end its own script element")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, loader=jinja2.FileSystemLoader(FOLDER)
    )
    figures, answer = dict(_figures(study)), Answer(study)
    hashes = " ".join(f"'sha256-{_hash(text)}'" for text in scripts.values())
    return environment.get_template("report.html").render(
        **_printable({**_top(answer), **_tabs(answer)}),
        drawn=set(figures),
        figures=_json(figures),
        script_hashes=Markup(hashes),
        css=Markup((FOLDER / "report.css").read_text(encoding="utf-8")),
        **{name: Markup(text) for name, text in scripts.items()},
    )


def _figures(study: "Study") -> Iterator[tuple[str, dict[str, Any]]]:
    """Key and plot of every figure that can be drawn."""
    methods = MethodStyle.of(study).methods
    asked: list[tuple[str, str, dict[str, Any]]] = [
        *((f"frontier-{i}", "frontier", {"x": x.name, "y": y.name}) for i, (x, y) in enumerate(pairs(study))),
        *((f"cost-{hosting}", "cost", {"hosting": hosting}) for hosting in ("per_use", "always_on")),
        *((kind, kind, {}) for kind in ("hypervolume", "latency", "learning", "loss", "differences")),
        *((f"importance-{i}", "importance", {"method": m}) for i, m in enumerate(methods)),
        *((f"parameters-{i}", "parameters", {"method": m}) for i, m in enumerate(methods)),
    ]
    for key, kind, options in asked:
        try:
            drawn = figure(study, kind, **options)
        except UserError:
            continue
        # plotly's own encoder knows its arrays; the page has its own colours in place of `template`
        plain = json.loads(drawn.update_layout(template=None).to_json())
        yield key, {"data": plain["data"], "layout": plain["layout"]}


def _top(answer: Answer) -> dict[str, Any]:
    """What the page begins with: the answer, and the panel in which its settings are changed."""
    study, verdict = answer.study, answer.study.verdict
    numbers = what_if(study, answer.names)
    cascades = any(o.cascade is not None for o in study.options)
    left_out = "Cascades are left out: <code>compare</code> prices them." if cascades else ""
    return {
        "name": study.task.name,
        "version": importlib.metadata.version("autoadapt"),
        "subtitle": tables.subtitle(study),
        "headline": answer.headline,
        "reason": answer.renamed(study.recommendation.reason) if answer.chosen is not None else "",
        "cards": tables.cards(answer),
        "metric": study.task.metric.name,
        "top": [tables.top_row(o, answer) for o in answer.top_options()],
        "panel": Markup(left_out or " ") if numbers is not None else "",
        "what_if": _json(_printable(numbers)),
        "caveats": answer.caveats(),
        "deploy": answer.export_command(),
        "gain": f"{GAIN}{answer.gain}" if answer.gain else "",
        "next": [answer.renamed(n) for n in verdict.next] if verdict is not None else ["The search has not ended yet."],
        "commands": answer.commands()[:2],
        "tabs": TABS,
        "glossary": GLOSSARY,
        "absent": ABSENT,
    }


def _tabs(answer: Answer) -> dict[str, Any]:
    """What the tabs show."""
    study, outcome, columns = answer.study, answer.study.verdict, trial_columns(answer.study.goals)
    notes = [*cascade_lines(study.options), *robustness_lines(study.options), *onnx_lines(study.options)]
    notes += verdict_lines(outcome) if outcome is not None else []
    why = outcome.why if outcome is not None else [study.recommendation.reason]
    methods = MethodStyle.of(study).methods
    return {
        "first_lines": [answer.renamed(line) for line in first_lines(outcome)],
        # the reason stands at the top already
        "why": [answer.renamed(line) for line in why if line != study.recommendation.reason],
        "notes": [answer.renamed(line) for line in notes],
        "calibrations": [answer.renamed(calibration_line(c)) for c in study.results.calibration],
        "options": [tables.option_row(o, answer) for o in study.options],
        "further": [goal.title for goal in further_goals(study.goals)],
        "frontier_keys": [f"frontier-{i}" for i in range(len(pairs(study)))],
        "frontier_titles": [f"{_short(y)} against {_short(x)}" for x, y in pairs(study)],
        "few": sections.few_trials(study),
        "method_names": [method_name(m) for m in methods],
        "method_keys": methods,
        "states": sorted({str(r.state) for r in study.rows}),
        "columns": columns,
        "trials": _json([trial_cells(r, columns) for r in study.rows]),
        "answers": answers(answer),
        "parts": [part.model_dump() for part in outcome.parts] if outcome is not None else [],
        "parts_are": outcome.parts_are if outcome is not None else "",
        "funnel": funnel(study),
        "spending": spending(study),
        "slots": sections.slots(study),
        **sections.volumes(study),
        **sections.money(study),
        "load": [answer.renamed(line) for line in sections.load_texts(study)],
        **sections.appendix(study),
    }


def _short(goal: Goal) -> str:
    """An objective in a heading."""
    name = {"quality": "quality", "cost_usd_per_1k": "cost", "latency_ms": "latency"}.get(goal.name, goal.label)
    return name[0].upper() + name[1:]


def _printable(value: Any) -> Any:
    """The value with every control and invisible character of its texts replaced by ?."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {k: _printable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(v) for v in value]
    return value


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(value: Any) -> Markup:
    """JSON that can neither end its script element nor be read as a comment there."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for bad in "<>&":
        text = text.replace(bad, f"\\u{ord(bad):04x}")
    return Markup(text)
