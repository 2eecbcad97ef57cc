"""Three ways to follow a running study: a live view on a terminal, a line per event, NDJSON for programs."""

import json
import sys
from types import TracebackType
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from autoadapt.display.terminal.plain_text import plain
from autoadapt.display.terminal.status import status_lines
from autoadapt.domain.events import Event


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


def line(event: Event) -> str:
    """An event as one line of text."""
    about = f"trial {event.trial}: " if event.trial is not None else ""
    return f"{event.kind.replace('_', ' ')}: {about}{event.message}"


class LineWatcher(_Base):
    """One line per event on stderr, with counts and spend."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    def __call__(self, event: Event) -> None:
        if event.kind == "progress":
            return
        status = event.status
        tail = f"  [{status.spent.trials} trials, {len(status.running)} running, {status.failed} failed, "
        tail += f"${status.spent.usd:.4f}, {status.spent.wall_seconds:.0f} s]"
        self._console.print(plain(line(event)).append(tail, style="dim"))


class LiveWatcher(_Base):
    """A view that is redrawn in place on the terminal, below the latest events."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "LiveWatcher":
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def __call__(self, event: Event) -> None:
        if event.kind not in ("trial_started", "trial_promoted", "progress"):
            self._console.print(plain(line(event)))
        running = ", ".join(f"trial {n}" for n in event.status.running) or "nothing"
        self._live.update(
            Group(Text(""), Text(f"{event.status.name}: running {running}", style="bold"), status_lines(event.status))
        )


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
                "running": list(status.running),
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
        self._out.write(json.dumps(payload, ensure_ascii=False) + "\n")
        self._out.flush()


def watcher(as_json: bool) -> Watcher:
    """JSON when asked for, a live view on a terminal, else lines."""
    if as_json:
        return JsonWatcher()
    return LiveWatcher() if sys.stderr.isatty() else LineWatcher()
