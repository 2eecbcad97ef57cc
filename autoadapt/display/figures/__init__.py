"""Figures of a study in plotly, for the report and for notebooks: one file per kind, whose `draw` makes it.

The names of the files are the kinds; files that begin with ``_`` are shared by them. Nothing is drawn from the text of
rows. Layouts have no colours of page or grid: the report sets those of its light or dark theme.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from autoadapt.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from autoadapt.runs.study import Study


def kinds() -> list[str]:
    """Every kind of figure, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def figure(study: "Study", kind: str, **options: Any) -> Any:
    """One figure of a study, a `plotly.graph_objects.Figure`.

    Args:
        study: loaded.
        kind: frontier (x, y: names of objectives), hypervolume, cost (hosting), latency, parameters (method), learning,
            loss, importance (method), differences.
        options: of that kind.

    Raises:
        UserError: the kind or an objective is unknown, or the study has no data for it yet.
    """
    if kind not in kinds():
        raise UserError(f"unknown figure '{kind}': {did_you_mean(kind, kinds())}")
    drawn = importlib.import_module(f"{__name__}.{kind}").draw(study, **options)
    if drawn is None:
        raise UserError(f"{study.root}: nothing to draw for '{kind}' yet")
    return drawn
