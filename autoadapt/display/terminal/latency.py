"""Latency under load in figures."""

import dataclasses
import json

from rich.table import Table

from autoadapt.display.sentences import ms_text
from autoadapt.display.terminal.plain_text import terminal
from autoadapt.display.text import too_few
from autoadapt.domain.load import Load, LoadRun
from autoadapt.economics.rates import Percentiles, good_share, goodput, keeps_up, percentiles, service_rate, tpot_ms


def run_line(run: LoadRun, latency_p95_ms: float | None) -> str:
    """One rate in one line; `latency_p95_ms` is the latency target, None without one."""
    p95 = percentiles(run.e2el_ms).p95
    line = f"{run.rate:.4g} requests/s: {run.sent} sent, {run.failed} failed, p95 {ms_text(p95)}"
    if latency_p95_ms is not None:
        line += f", {good_share(run, latency_p95_ms):.1%} within {latency_p95_ms:g} ms"
    return line + ("" if keeps_up(run) else ", a queue grows")


def print_load(load: Load, latency_p95_ms: float | None) -> None:
    """Prints percentiles at the greatest rate that meets the latency target, or at the last rate.

    Args:
        load: at least one run.
        latency_p95_ms: the latency target; None: there is none.
    """
    console = terminal()
    rate = service_rate(load, latency_p95_ms)
    run = next((r for r in load.runs if r.rate == rate), load.runs[-1])
    console.print()
    console.print(f"At {run.rate:.4g} requests/s:")
    console.print(_percentile_table(run))
    console.print(
        f"Throughput {run.sent / run.seconds:.4g} requests/s, {sum(run.tokens_out) / run.seconds:.4g} tokens/s"
        + ("" if latency_p95_ms is None else f"; goodput {goodput(run, latency_p95_ms):.4g} requests/s")
    )
    target = (
        "at which 99 % of requests meet the latency target" if latency_p95_ms is not None else "without a growing queue"
    )
    if rate is None:
        console.print(f"None of the measured rates was one {target}.")
    else:
        console.print(f"Greatest measured rate {target}: {rate:.4g} requests/s.")
    console.print(f"Open loop, Poisson; {load.warm_up} warm-up requests dropped; prefix cache {load.prefix_cache}.")


def _percentile_table(run: LoadRun) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("ms", "n", "mean", "p50", "p90", "p95", "p99"):
        table.add_column(name, justify="left" if name == "ms" else "right")
    for name, samples in (("TTFT", run.ttft_ms), ("TPOT", tpot_ms(run)), ("E2EL", run.e2el_ms)):
        figures = percentiles(samples)
        cells = [_cell(figures.mean, None), _cell(figures.p50, None)]
        cells += [_cell(getattr(figures, f"p{percent}"), percent) for percent in (90, 95, 99)]
        table.add_row(name, str(figures.n), *cells)
    return table


def _cell(value: float | None, percent: float | None) -> str:
    if value is None:
        return "n/a" if percent is None else too_few(percent)
    return f"{value:.4g}"


def load_json(load: Load, latency_p95_ms: float | None) -> str:
    """Raw samples with percentiles per rate, as JSON."""
    payload = json.loads(load.model_dump_json())
    payload["latency_p95_ms"] = latency_p95_ms
    payload["requests_per_s"] = service_rate(load, latency_p95_ms)
    for run, entry in zip(load.runs, payload["runs"], strict=True):
        for name, samples in (("ttft", run.ttft_ms), ("tpot", tpot_ms(run)), ("e2el", run.e2el_ms)):
            figures: Percentiles = percentiles(samples)
            entry[f"{name}_percentiles_ms"] = dataclasses.asdict(figures)
        entry["goodput"] = None if latency_p95_ms is None else goodput(run, latency_p95_ms)
    return json.dumps(payload, indent=1)
