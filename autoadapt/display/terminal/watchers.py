"""Three ways to follow a running study: a live view on a terminal, short lines, NDJSON for programs."""

import json
import sys
from types import TracebackType
from typing import Protocol, TextIO

from rich.console import Group
from rich.live import Live
from rich.text import Text

from autoadapt.display.terminal.plain_text import plain, terminal
from autoadapt.display.terminal.status import phase_text, status_lines, time_left
from autoadapt.display.text import duration
from autoadapt.domain.events import Event
from autoadapt.shown_text import inert_json

ENDS = {
    "trial_finished": "trial {} done",
    "trial_stopped_early": "trial {} stopped early",
    "trial_failed": "trial {} failed",
    "trial_cached": "trial {} repeats another",
}
"""Events of a trial that has ended -> how its line begins."""
SILENT = ("progress", "trial_started", "trial_promoted", "phase")
LONGEST_NAME, LONGEST_REASON = 40, 70


class Watcher(Protocol):
    """Entered before a search and left after it, called with every event in between."""

    def __enter__(self) -> "Watcher": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __call__(self, event: Event) -> None: ...


class _Base:
    def __enter__(self) -> "_Base":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, event: Event) -> None:
        raise TypeError


def line(event: Event) -> str | None:
    """An event as a short line; None: it says nothing that is worth a line."""
    status = event.status
    if event.kind in ENDS:
        return _trial_line(event)
    if event.kind == "phase" and status.phase is not None:
        return f"{phase_text(status.phase)}; {time_left(status)}"
    if event.kind == "assessing":
        return f"  {event.message}"
    if event.kind == "assessed":
        return None if event.message == "done" else f"  trial {event.trial}: {_short(event.message, LONGEST_REASON)}"
    if event.kind == "finished":
        spent = status.spent
        return f"finished after {duration(spent.wall_seconds)}: {spent.trials} trials, ${spent.usd:.4f}"
    if event.kind in SILENT:
        return None
    about = f"trial {event.trial}: " if event.trial is not None and event.kind != "note" else ""
    return f"{event.kind.replace('_', ' ')}: {about}{event.message}"


def _trial_line(event: Event) -> str:
    """A trial that has ended: what it was, its quality or why it ended, and the best so far."""
    name = _short(f"{event.data['method']} on {event.data['model']}", LONGEST_NAME) if "method" in event.data else ""
    values = event.data.get("values") or {}
    if event.kind == "trial_finished":
        shown = [f"{goal.replace('_', ' ')} {value:.3f}" for goal, value in list(values.items())[:1]]
    else:
        shown = [_short(event.message, LONGEST_REASON)]
    text = f"{ENDS[event.kind].format(event.trial)}: {', '.join(part for part in [name, *shown] if part)}"
    best, floor = event.status.best, event.status.floor
    against = "" if floor is None else f", floor {floor.quality:.3f}"
    return text if best is None else f"{text}; best {best.quality:.3f}{against}"


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


class LineWatcher(_Base):
    """A short line on stderr for every trial that has ended and every phase, with counts, spend and time."""

    def __init__(self) -> None:
        self._console = terminal(stderr=True, soft_wrap=True)

    def __call__(self, event: Event) -> None:
        text = line(event)
        if text is None:
            return
        shown, status = plain(text), event.status
        if event.kind in ENDS:
            tried = f"{status.spent.trials}" + (f" of {status.budget.trials}" if status.budget.trials else "")
            tail = f"  [{tried}, ${status.spent.usd:.4f}, {duration(status.spent.wall_seconds)}, "
            shown.append(f"{tail}{time_left(status, with_end=False)}]", style="dim")
        self._console.print(shown)


class LiveWatcher(_Base):
    """A view that is redrawn in place on the terminal, below the latest events."""

    def __init__(self) -> None:
        self._console = terminal(stderr=True)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "LiveWatcher":
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def __call__(self, event: Event) -> None:
        text = line(event)
        if text is not None:
            self._console.print(plain(text))
        self._live.update(Group(Text(""), status_lines(event.status)))


class JsonWatcher(_Base):
    """One JSON object per event on stdout."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout

    def __call__(self, event: Event) -> None:
        if event.kind == "progress":
            return
        status = event.status
        payload = {
            "event": event.kind,
            "trial": event.trial,
            "message": event.message,
            **event.data,
            "status": {
                "running": [job.trial for job in status.running],
                "phase": None if status.phase is None else status.phase.name,
                "complete": status.complete,
                "stopped_early": status.stopped_early,
                "failed": status.failed,
                "cached": status.cached,
                "spent": json.loads(status.spent.model_dump_json()),
                "seconds_left": status.seconds_left,
                "frontier": [o.trial for o in status.frontier],
                "last_failure": status.last_failure,
            },
        }
        self._out.write(inert_json(json.dumps(payload, ensure_ascii=False)) + "\n")
        self._out.flush()


def watcher(as_json: bool) -> Watcher:
    """JSON when asked for, a live view on a terminal, else lines."""
    if as_json:
        return JsonWatcher()
    return LiveWatcher() if sys.stderr.isatty() else LineWatcher()
