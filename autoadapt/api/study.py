"""AutoAdapt in Python: every command of the command line has its call here.

import autoadapt

study = autoadapt.search("task.yaml")            # or Study.load("runs/support") for one that was run before
study                                            # in a notebook: the recommendation and the frontier
study.trials(), study.frontier()                 # pandas frames
study.figure("frontier").show()                  # plotly
study.recommend(max_p95=400)                     # other limits
study.compare({"startup": {"volume": 5000, "hosting": "scale_to_zero"}})
study.report()                                   # report.html
"""

import html
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoadapt.domain.events import Event
from autoadapt.domain.load import Load
from autoadapt.domain.plan import Plan
from autoadapt.domain.prices import DevicePrice, TokenPrice
from autoadapt.domain.task import Task
from autoadapt.errors import Exit, UserError
from autoadapt.runs import study as finished

if TYPE_CHECKING:
    from autoadapt.providers.openai import Server
    from autoadapt.runs.frontiers import TaskRuns
    from autoadapt.tasks.resolve import Resolved

TaskSource = str | Path | Mapping[str, Any] | Task


class Study(finished.Study):
    """A study, finished or running, with figures and a report; `Study.load(run folder)` makes one."""

    def figure(self, kind: str = "frontier", **options: Any) -> Any:
        """A `plotly.graph_objects.Figure`.

        Args:
            kind: frontier (x, y), hypervolume, cost (hosting), latency, parameters (method), learning, loss, importance
                (method), differences.
            options: of that kind, such as ``x="latency_ms"``.

        Raises:
            UserError: the kind is unknown, or the study has no data for it yet.
        """
        from autoadapt.display.figures import figure

        return figure(self, kind, **options)

    def report(self, path: str | Path | None = None) -> Path:
        """Writes the HTML report; returns its path.

        Args:
            path: None: ``report.html`` in the run folder.
        """
        from autoadapt.display.report.page import write_report

        return write_report(self, None if path is None else Path(path))

    def _repr_html_(self) -> str:
        """What a notebook shows: the recommendation, and the frontier as a table. All text in it is escaped."""
        from autoadapt.display.text import p95_text, with_interval

        rows = []
        for option in self.options:
            cells = [
                f"{'* ' if option.trial == self.recommendation.trial else ''}{option.trial}",
                option.method,
                with_interval(*option.best_known_quality),
                f"{option.cost_usd_per_1k:.2g}",
                p95_text(option),
            ]
            rows.append("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>")
        head = "".join(f"<th>{name}</th>" for name in ("trial", "method", "quality [95 %]", "$ per 1k", "p95 ms"))
        name, reason = html.escape(self.task.name), html.escape(self.recommendation.reason)
        return (
            f"<b>{name}</b><p>{reason}</p><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        )

    def __repr__(self) -> str:
        return f"Study({str(self.root)!r}: {self.recommendation.reason})"


def search(
    task: TaskSource,
    *,
    overrides: Sequence[str] = (),
    runs: str | Path = "runs",
    warm_start: Sequence[str | Path] = (),
    on_event: Callable[[Event], None] | None = None,
    trackers: Sequence[str] = (),
) -> Study:
    """Searches, or resumes what was interrupted, and writes the report; like ``autoadapt search``.

    Args:
        task: a task file, or its content as a mapping (files are then looked for in the working directory).
        overrides: ``a.b=c`` settings that win over the task.
        runs: folder of all studies.
        warm_start: folders of earlier runs whose frontiers are tried first.
        on_event: told of everything that happens.
        trackers: names in the trackers folder.

    Raises:
        UserError: the task is wrong, or the environment fails; its `code` is the exit code of the command line.
        KeyboardInterrupt: it was stopped; the same call resumes it.
    """
    from autoadapt.study.running import run_study

    resolved = _resolve(task, overrides, download=True)
    root = Path(runs) / resolved.task.name
    code = run_study(resolved, root, on_event or (lambda event: None), [Path(w) for w in warm_start], trackers)
    if code in (Exit.INTERRUPTED, Exit.TERMINATED):
        raise KeyboardInterrupt(f"stopped; finished trials are in {root}")
    study = Study.load(root)
    if study.raws:
        study.report()
    return study


def plan(task: TaskSource, *, overrides: Sequence[str] = (), runs: str | Path = "runs") -> Plan:
    """Hours, dollars and memory of a search before it runs; like ``autoadapt plan``.

    Raises:
        UserError: the task is wrong, or no method can run.
    """
    from autoadapt.forecast.planning import plan as make_plan

    resolved = _resolve(task, overrides, download=True)
    return make_plan(resolved, Path(runs) / resolved.task.name)


def check(task: TaskSource, *, overrides: Sequence[str] = ()) -> "Resolved":
    """Task, space, splits and models, validated; runs nothing; like ``autoadapt check``.

    Raises:
        UserError: the first thing that is wrong.
    """
    return _resolve(task, overrides)


def init(
    folder: str | Path = ".", data: str | Path | None = None, source: str | None = None, answer: str | None = None
) -> list[Path]:
    """Writes a task file to start from, or the example; returns what was written; like ``autoadapt init``.

    Args:
        folder: for the files.
        data: your labelled rows; None: the example.
        source, answer: columns with the text and the answer, where their names do not tell.

    Raises:
        UserError: a file is there already, or the data cannot be read.
    """
    from autoadapt.tasks.starting import copy_example, write_task

    return [write_task(Path(folder), Path(data), source, answer)] if data else copy_example(Path(folder))


def frontiers(runs: Sequence[str | Path]) -> "list[TaskRuns]":
    """Several runs laid over each other, by task; like ``autoadapt frontier``.

    Raises:
        UserError: a folder holds no study, or nothing was measured in full.
    """
    from autoadapt.runs.frontiers import load_runs

    return load_runs(runs)


def latency(
    server: "Server",
    prompts: Sequence[str],
    *,
    rate: float = 1.0,
    requests: int = 100,
    latency_p95_ms: float | None = None,
    search: bool = True,
    seconds: float = 300.0,
    hardware: str = "not stated",
) -> Load:
    """A running OpenAI-compatible server under load; like ``autoadapt latency``.

    Args:
        server: `autoadapt.Server(url, model)`.
        prompts: what is asked.
        rate: requests per second to begin with.
        requests: at each rate, at least.
        latency_p95_ms: latency target in milliseconds for 99 % of requests.
        search: whether to go on to the greatest rate that meets it.
        seconds: after so many no further rate is tried.
        hardware: what the server runs on, for the record.

    Raises:
        UserError: the server cannot be reached or refuses.
    """
    from autoadapt.assess.server_load import measure_server

    return measure_server(
        server,
        list(prompts),
        rate=rate,
        requests=requests,
        latency_p95_ms=latency_p95_ms,
        search=search,
        seconds=seconds,
        hardware=hardware,
    )


def prices(text: str = "", book: str | Path | None = None) -> list[DevicePrice | TokenPrice]:
    """Prices whose name has a text in it, dated and with source; like ``autoadapt prices``."""
    from autoadapt.tasks.prices import Prices

    known = Prices(None if book is None else Path(book))
    every: list[DevicePrice | TokenPrice] = [*known.devices.values(), *known.tokens.values()]
    return [p for p in every if text.lower() in p.name]


def schema() -> dict[str, Any]:
    """The JSON Schema of task.yaml; like ``autoadapt schema``."""
    return Task.model_json_schema()


def _resolve(task: TaskSource, overrides: Sequence[str], download: bool = False) -> "Resolved":
    from autoadapt.tasks.resolve import resolve

    if isinstance(task, str | Path):
        return resolve(Path(task), overrides, download)
    values = task.model_dump(mode="json", exclude_unset=True) if isinstance(task, Task) else dict(task)
    try:
        text = json.dumps(values, indent=1, default=str)
    except (TypeError, ValueError) as error:
        raise UserError(f"the task holds what no file could: {error}") from error
    return resolve(Path("task"), overrides, download, text)
