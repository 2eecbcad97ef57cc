"""Where a running study stands."""

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from autoadapt.display.terminal.options import small_frontier
from autoadapt.display.terminal.plain_text import plain
from autoadapt.display.text import FEW_SECONDS, about, dollars, duration
from autoadapt.domain.events import Phase, Status

BAR_WIDTH = 24


def status_lines(status: Status) -> RenderableType:
    """What runs, the best so far against the floor, the budget as bars, the frontier and the last failure."""
    head = "searching" if status.phase is None else phase_text(status.phase)
    parts: list[RenderableType] = [plain(f"{status.name}: {head}"), _running(status)]
    if best := best_line(status):
        parts.append(plain(best))
    parts.append(_bars(status))
    if status.frontier:
        parts += [Text(""), small_frontier(status.frontier)]
    if status.last_failure:
        parts += [Text(""), Text("last failure: ").append_text(plain(status.last_failure))]
    return Group(*parts)


def phase_text(phase: Phase) -> str:
    """Such as ``end 2 of 5, final fit``."""
    return f"end {phase.number} of {phase.of}, {phase.name}"


def best_line(status: Status) -> str:
    """Such as ``best so far: trial 10 (lora) 0.865, 0.271 above the floor (tfidf 0.594)``."""
    best, floor = status.best, status.floor
    if best is None:
        return "" if floor is None else f"so far the floor alone: {floor.name} {floor.quality:.3f}"
    text = f"best so far: {best.name} {best.quality:.3f}"
    if floor is None:
        return text
    gain = best.quality - floor.quality
    side = "above" if gain >= 0 else "below"
    return f"{text}, {abs(gain):.3f} {side} the floor ({floor.method} {floor.quality:.3f})"


def time_left(status: Status, with_end: bool = True) -> str:
    """Such as ``about 12 min left, 2 min of it for the end``; the end is left out where it is not wanted or short."""
    left, end = status.seconds_left, status.end_seconds
    if left is None:
        return "time left not known yet"
    text = f"{'about ' if left >= FEW_SECONDS else ''}{about(left)} left"
    return text if end is None or end < FEW_SECONDS or not with_end else f"{text}, {about(end)} of it for the end"


def _running(status: Status) -> RenderableType:
    if not status.running:
        return Text("  nothing runs at the moment")
    table = Table.grid(padding=(0, 2))
    for job in status.running:
        what = plain(f"{job.method} on {job.model}")
        table.add_row(Text(f"  running trial {job.trial}"), what, plain(job.stage), Text(duration(job.seconds)))
    return table


def _bars(status: Status) -> Table:
    """A line for each limit of the budget, and for what was spent without one."""
    budget, spent = status.budget, status.spent
    ended = f"complete {status.complete}, stopped early {status.stopped_early}, failed {status.failed}"
    ended += f", repeated {status.cached}" if status.cached else ""
    table = Table.grid(padding=(0, 2))
    rows = (
        ("trials", spent.trials, budget.trials, f"{spent.trials}", f"{budget.trials}", ended),
        ("time", spent.wall_seconds, _seconds(budget.hours), duration(spent.wall_seconds),
         duration(_seconds(budget.hours) or 0), time_left(status)),
        ("devices", spent.device_seconds, _seconds(budget.device_hours), duration(spent.device_seconds),
         duration(_seconds(budget.device_hours) or 0), ""),
        ("spent", spent.usd, None if budget.usd is None else float(budget.usd), f"${spent.usd:.4f}",
         f"${dollars(float(budget.usd or 0))}", ""),
    )  # fmt: skip
    for name, done, most, shown, limit, remark in rows:
        bar = Text("") if not most else ProgressBar(total=most, completed=min(done, most), width=BAR_WIDTH)
        text = shown + (f" of {limit}" if most else "")
        table.add_row(bar, Text(f"{name} {text}"), Text(remark))
    return table


def _seconds(hours: float | None) -> float | None:
    return None if hours is None else hours * 3600
