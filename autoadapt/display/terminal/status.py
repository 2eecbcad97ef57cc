"""Where a running study stands."""

from rich.console import Group, RenderableType
from rich.text import Text

from autoadapt.display.terminal.options import small_frontier
from autoadapt.display.terminal.plain_text import plain
from autoadapt.display.text import duration
from autoadapt.domain.events import Status


def status_lines(status: Status) -> RenderableType:
    """Counts, spend and budget, time left, the frontier as a small table, the last failure."""
    budget, spent = status.budget, status.spent
    counts = [
        f"trials {spent.trials}" + (f" of {budget.trials}" if budget.trials else ""),
        f"running {len(status.running)}",
        f"complete {status.complete}",
        f"stopped early {status.stopped_early}",
        f"failed {status.failed}",
        f"cached {status.cached}",
    ]
    spend = [
        f"spent ${spent.usd:.4f}" + (f" of ${budget.usd}" if budget.usd is not None else ""),
        f"{duration(spent.wall_seconds)}" + (f" of {budget.hours:g} h" if budget.hours else ""),
        f"devices {duration(spent.device_seconds)}" + (f" of {budget.device_hours:g} h" if budget.device_hours else ""),
    ]
    if status.seconds_left is not None:
        spend.append(f"about {duration(status.seconds_left)} left")
    parts: list[RenderableType] = [Text("  ".join(counts)), Text("  ".join(spend))]
    if status.frontier:
        parts += [Text(""), small_frontier(status.frontier)]
    if status.last_failure:
        parts += [Text(""), Text("last failure: ").append_text(plain(status.last_failure))]
    return Group(*parts)
