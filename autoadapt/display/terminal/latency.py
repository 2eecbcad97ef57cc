"""Latency under load in figures."""

import dataclasses
import json

from rich.console import Console
from rich.table import Table

from autoadapt.domain.load import Load, LoadRun
from autoadapt.economics.rates import Percentiles, good_share, goodput, keeps_up, percentiles, service_rate, tpot_ms


def run_line(run: LoadRun, promise_ms: float | None) -> str:
    """One rate in a line."""
    p95 = percentiles(run.e2el_ms).p95
    told = f"{run.rate:.4g} requests/s: {run.sent} sent, {run.failed} failed, p95 {_ms(p95)}"
    if promise_ms is not None:
        told += f", {good_share(run, promise_ms):.1%} within {promise_ms:g} ms"
    return told + ("" if keeps_up(run) else ", a queue grows")


def print_load(load: Load, promise_ms: float | None) -> None:
    """Percentiles at the greatest rate that holds, or at the last one."""
    console = Console(highlight=False)
    rate = service_rate(load, promise_ms)
    run = next((r for r in load.runs if r.rate == rate), load.runs[-1])
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("ms", "n", "mean", "p50", "p90", "p95", "p99"):
        table.add_column(name, justify="left" if name == "ms" else "right")
    for name, samples in (("TTFT", run.ttft_ms), ("TPOT", tpot_ms(run)), ("E2EL", run.e2el_ms)):
        found = percentiles(samples)
        figures = [_number(getattr(found, f.name)) for f in dataclasses.fields(Percentiles) if f.name != "n"]
        table.add_row(name, str(found.n), *figures)
    console.print()
    console.print(f"At {run.rate:.4g} requests/s:")
    console.print(table)
    console.print(
        f"Throughput {run.sent / run.seconds:.4g} requests/s, {sum(run.tokens_out) / run.seconds:.4g} tokens/s"
        + ("" if promise_ms is None else f"; goodput {goodput(run, promise_ms):.4g} requests/s")
    )
    kept = "that 99 % of requests keep the promise" if promise_ms is not None else "without a growing queue"
    if rate is None:
        console.print(f"No rate measured was one {kept}.")
    else:
        console.print(f"Greatest rate measured {kept}: {rate:.4g} requests/s.")
    console.print(f"Open loop, Poisson; {load.warm_up} warm-up requests dropped; prefix cache {load.prefix_cache}.")


def load_lines(load: Load, promise_ms: float | None, who: str = "Recommended option") -> list[str]:
    """An option under load in two lines: at the task's rate, and how far it goes."""
    first, rate = load.runs[0], service_rate(load, promise_ms)
    figures = percentiles(first.e2el_ms)
    told = ", ".join(f"{name} {_ms(getattr(figures, name))}" for name in ("p50", "p90", "p95", "p99"))
    kept = f"99 % of requests within {promise_ms:g} ms" if promise_ms is not None else "no growing queue"
    most = "not even the lowest rate measured" if rate is None else f"{rate:.3g} requests/s"
    cold = "" if load.cold_start_s is None else f"; loading it takes {load.cold_start_s:.1f} s"
    return [
        f"{who} under load, {first.sent} requests at {first.rate:.3g}/s: {told}.",
        f"  With {kept} it answers {most} on one device{cold}; prefix cache {load.prefix_cache}, {load.engine}.",
    ]


def load_json(load: Load, promise_ms: float | None) -> str:
    """Raw samples with percentiles per rate."""
    told = json.loads(load.model_dump_json())
    told["promise_ms"], told["requests_per_s"] = promise_ms, service_rate(load, promise_ms)
    for run, out in zip(load.runs, told["runs"], strict=True):
        for name, samples in (("ttft", run.ttft_ms), ("tpot", tpot_ms(run)), ("e2el", run.e2el_ms)):
            out[f"{name}_percentiles_ms"] = dataclasses.asdict(percentiles(samples))
        out["goodput"] = None if promise_ms is None else goodput(run, promise_ms)
    return json.dumps(told, indent=1)


def _number(value: float | None) -> str:
    return "n too small" if value is None else f"{value:.4g}"


def _ms(value: float | None) -> str:
    return "n too small" if value is None else f"{value:.4g} ms"
