"""What AutoAdapt itself costs: the command's start, a warm worker against a fresh process, a kill in the middle.

    python benchmarks/overhead/run.py [--model autoadapt/embedded]

Each pair of figures is taken side by side in this one run, so their ratio holds on any machine.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
AUTOADAPT = [sys.executable, "-m", "autoadapt.cli.main"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=ROOT / "autoadapt/embedded")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        task = write_task(Path(folder), args.model.resolve())
        start_of_the_command()
        warm_against_fresh(task)
        killed_in_the_middle(task)


def write_task(folder: Path, model: Path) -> Path:
    """The bundled example's data, with one slot."""
    task = folder / "task.yaml"
    content = {
        "name": "overhead",
        "data": {
            "path": str(ROOT / "examples/support/messages.jsonl"),
            "columns": {"input": "text", "output": "label"},
        },
        "metric": "accuracy",
        "models": [str(model)],
        "search_space": "quick",
        "budget": {"trials": 12},
        "economics": {"usd_per_hour": 0.1},
        "search": {"sampler": "random"},
        "compute": {"slots": 1},
    }
    task.write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in content.items()))
    return task


def start_of_the_command() -> None:
    """Median wall time of ``autoadapt --help`` over 15 starts, beside that of an empty Python."""

    def median(command: list[str]) -> float:
        times = []
        for _ in range(15):
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - started)
        return statistics.median(times)

    print(
        f"autoadapt --help: {median([*AUTOADAPT, '--help']):.3f} s; python -c pass: {median([sys.executable, '-c', 'pass']):.3f} s"
    )


def warm_against_fresh(task: Path) -> None:
    """Seconds of prompt steps in a warm worker, and of the same steps run again in a process each."""
    runs = task.parent / "warm"
    command = [
        *AUTOADAPT,
        "search",
        str(task),
        "--runs",
        str(runs),
        "--set",
        "methods=[prompt]",
        "--set",
        "search.rungs=false",
    ]
    subprocess.run([*command, "--set", "budget.trials=8"], check=True, capture_output=True)
    steps = sorted((runs / "overhead" / "trials").glob("*/rung0"))
    outcomes = [json.loads((s / "outcome.json").read_text()) for s in steps]
    pairs = []
    for step, outcome in zip(steps, outcomes, strict=True):
        if outcome["cold"] or outcome["measurement"] is None:
            continue
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "autoadapt.worker", str(step)], check=True, capture_output=True)
        pairs.append((outcome["seconds"], time.perf_counter() - started))
    warm, fresh = (statistics.median(p[i] for p in pairs) for i in (0, 1))
    print(
        f"prompt trial, median of {len(pairs)}: warm worker {warm:.2f} s, fresh process {fresh:.2f} s ({fresh / warm:.1f}x)"
    )


def killed_in_the_middle(task: Path) -> None:
    """kill -9 of driver and workers half-way, then the same command again: finished steps lost, steps measured twice."""
    runs = task.parent / "killed"
    command = [*AUTOADAPT, "search", str(task), "--runs", str(runs)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def finished() -> dict[str, str]:
        found = {}
        for file in (runs / "overhead" / "trials").glob("*/*/outcome.json"):
            content = json.loads(file.read_text())
            if content["measurement"] is not None:
                found[str(file)] = json.dumps(content["measurement"]["rows"])
        return found

    while len(finished()) < 9 and process.poll() is None:
        time.sleep(0.02)
    workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    for pid in [process.pid, *map(int, workers)]:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    before = finished()
    subprocess.run(command, check=False, capture_output=True)
    after = finished()
    keys = ["/".join(Path(f).parts[-3:-1]).split("-retry")[0] for f in after]
    lost = sum(after.get(file) != rows for file, rows in before.items())
    repeated = len(keys) - len(set(keys))
    trials = json.loads((runs / "overhead" / "summary.json").read_text())["spent"]["trials"]
    print(
        f"killed after {len(before)} finished steps, resumed to {trials} trials of 12: {lost} steps lost, {repeated} repeated"
    )


if __name__ == "__main__":
    main()
