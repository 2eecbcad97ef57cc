"""Study: a study, finished or running, with figures and a report."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autoadapt.domain.comparison import Column
from autoadapt.domain.objective import COST
from autoadapt.domain.option import number_text
from autoadapt.runs import study as runs_study


class Study(runs_study.Study):
    """A study, finished or running, with figures and a report; `Study.load(run folder)` makes one."""

    def figure(self, kind: str = "frontier", **options: Any) -> Any:
        """A `plotly.graph_objects.Figure`.

        Args:
            kind: frontier (x, y), hypervolume, cost (hosting), latency, parameters (method), learning, loss, importance
                (method), differences.
            options: of that kind, such as ``x="latency_ms"``.

        Raises:
            UserError: the kind is unknown, or the study has nothing of it yet.
        """
        from autoadapt.display.figures import figure

        return figure(self, kind, **options)

    def draw_comparison(self, columns: Sequence[Column], path: str | Path, x: str = COST, y: str = "quality") -> None:
        """Writes one figure of what `compare` gave: the options of each scenario on two axes, with their errors.

        Args:
            columns: of `compare`.
            path: it ends in .html, or in .svg, .png or .pdf, which need ``pip install 'autoadapt[research]'``.
            x, y: quality, cost_usd_per_1k (drawn as dollars a month), latency_ms or another objective.

        Raises:
            UserError: the format or an axis is unknown, a package is missing, or the file cannot be written.
        """
        from autoadapt.display.comparison_figure import draw

        draw(columns, self.goals, Path(path), x, y)

    def report(self, path: str | Path | None = None) -> Path:
        """Writes the HTML report; returns where it is.

        Args:
            path: None: ``report.html`` in the run folder.
        """
        from autoadapt.display.report.page import write_report

        return write_report(self, None if path is None else Path(path))

    def _repr_html_(self) -> str:
        """What a notebook shows: the recommendation, and the frontier as a table. All text in it is escaped."""
        from autoadapt.display.sentences import first_lines
        from autoadapt.display.text import p95_text, quality_text, validation_note

        rows = []
        for option in self.options:
            cells = [
                f"{'* ' if option.trial == self.recommendation.trial else ''}{number_text(option.trial)}",
                option.method,
                quality_text(option, interval=True),
                f"{option.cost_usd_per_1k:.2g}",
                p95_text(option),
            ]
            rows.append("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>")
        head = "".join(f"<th>{name}</th>" for name in ("trial", "method", "quality [95 %]", "$ per 1k", "p95 ms"))
        name = html.escape(self.task.name)
        lines = [self.recommendation.reason, *first_lines(self.verdict)]
        note = validation_note(self.options)
        paragraphs = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        return f"<b>{name}</b>{paragraphs}{table}{note}"

    def __repr__(self) -> str:
        return f"Study({str(self.root)!r}: {self.recommendation.reason})"
