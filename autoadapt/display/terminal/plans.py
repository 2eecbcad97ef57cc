"""A plan in a table."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from autoadapt.display.terminal.plain_text import plain, terminal
from autoadapt.display.text import dollars
from autoadapt.domain.plan import MethodPlan, Plan, Range


def print_plan(plan: Plan, warnings: Sequence[str]) -> None:
    """Prints trials, hours, dollars and memory per method and in all."""
    console = terminal()
    console.print()
    console.print(_table(plan))
    console.print()
    memory = "unknown" if plan.memory_bytes is None else _bytes(plan.memory_bytes)
    console.print(f"Memory of a device: {memory}.")
    for name, method in plan.methods.items():
        console.print(f"  {name}: {_memory_text(method)}")
    console.print(f"Wall-clock hours: {_range(plan.hours, 3)} (low / likely / high); ended by {plan.limit}.")
    if plan.end_hours is not None:
        console.print(f"Of these, the end of the search: {_range(plan.end_hours, 3)}{_learning_curve_text(plan)}.")
    console.print(plain(f"On {plan.slots} slot(s) of {plan.hardware}, memory {memory}."))
    console.print(plain(f"Price: ${dollars(plan.hour_usd)} a device-hour, {plan.price_source}."))
    cheapest = f"${dollars(plan.cheapest_usd)} ({plan.cheapest_seconds:.0f} s of device time)"
    console.print(
        f"The cheapest possible run costs {cheapest}. The probe took {plan.probe_seconds:.0f} s of device time."
    )
    for name, method in plan.methods.items():
        if method.failure:
            console.print(Text(f"{name}: its probe failed: ").append_text(plain(method.failure)))
    for warning in warnings:
        console.print(Text("note: ").append_text(plain(warning)))


def _learning_curve_text(plan: Plan) -> str:
    if plan.learning_curve is None:
        return ""
    if plan.learning_curve:
        return ", with a learning curve"
    return "; what it may take of the budget probably does not pay for a learning curve"


def _table(plan: Plan) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", caption="low / likely / high", caption_justify="left")
    table.add_column("method", no_wrap=True)
    for name in ("trials", "device-hours", "USD"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, method in plan.methods.items():
        table.add_row(name, _range(method.trials, 0), _range(method.device_hours, 3), _range(method.usd))
    table.add_row("in all", _range(plan.trials, 0), _range(plan.device_hours, 3), _range(plan.usd))
    return table


def _memory_text(method: MethodPlan) -> str:
    peak = f", {_bytes(method.peak_bytes)} at the probe's peak" if method.peak_bytes else ""
    fits = "does not fit" if not method.fits else "failed" if method.failure else "fits"
    return f"{_bytes(method.need_bytes)} by formula{peak}: {fits}"


def _range(value: Range, digits: int | None = None) -> str:
    numbers = (value.low, value.likely, value.high)
    return " / ".join(dollars(n) if digits is None else f"{n:.{digits}f}" for n in numbers)


def _bytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
