"""A plan in a table."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autoadapt.display.terminal.tables import dollars, plain
from autoadapt.domain.plan import Plan, Range


def print_plan(plan: Plan, warnings: Sequence[str]) -> None:
    """Trials, hours, dollars and memory per method and in all."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold", caption="low / likely / high", caption_justify="left")
    table.add_column("method", no_wrap=True)
    for name in ("trials", "device-hours", "USD"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, method in plan.methods.items():
        table.add_row(name, _spread(method.trials, 0), _spread(method.device_hours, 3), _spread(method.usd))
    table.add_row("in all", _spread(plan.trials, 0), _spread(plan.device_hours, 3), _spread(plan.usd))
    console.print()
    console.print(table)
    console.print()
    memory = "unknown" if plan.memory_bytes is None else _bytes(plan.memory_bytes)
    console.print(f"Memory of a device: {memory}.")
    for name, method in plan.methods.items():
        peak = f", {_bytes(method.peak_bytes)} at the probe's peak" if method.peak_bytes else ""
        fits = "does not fit" if not method.fits else "failed" if method.failure else "fits"
        console.print(f"  {name}: {_bytes(method.need_bytes)} by formula{peak}: {fits}")
    console.print(f"Hours on the clock: {_spread(plan.hours, 3)} (low / likely / high); ended by {plan.limit}.")
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


def _spread(value: Range, digits: int | None = None) -> str:
    def told(number: float) -> str:
        return dollars(number) if digits is None else f"{number:.{digits}f}"

    return f"{told(value.low)} / {told(value.likely)} / {told(value.high)}"


def _bytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
