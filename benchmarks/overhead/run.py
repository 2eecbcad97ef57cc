"""What AutoAdapt itself costs: the command's start, a warm worker against a fresh process, a kill in the middle.

    python benchmarks/overhead/run.py [--model autoadapt/embedded]

Each pair of figures is taken side by side in this one run, so their ratio holds on any machine.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

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
    """Seconds of prompt trials in a warm worker, and of the same jobs run again in a process each."""
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
    jobs = sorted((runs / "overhead" / "trials").glob("*/rung0"))
    outcomes = [json.loads((job / "outcome.json").read_text()) for job in jobs]
    pairs = []
    for job, outcome in zip(jobs, outcomes, strict=True):
        if outcome["cold"] or outcome["result"]["kind"] != "measurement":
            continue
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "autoadapt.worker", str(job)], check=True, capture_output=True)
        pairs.append((outcome["seconds"], time.perf_counter() - started))
    warm, fresh = (statistics.median(p[i] for p in pairs) for i in (0, 1))
    print(
        f"prompt trial, median of {len(pairs)}: warm worker {warm:.2f} s, fresh process {fresh:.2f} s ({fresh / warm:.1f}x)"
    )


def killed_in_the_middle(task: Path) -> None:
    """kill -9 of driver and workers half-way, then the same command again: finished jobs lost, jobs measured twice."""
    runs = task.parent / "killed"
    command = [*AUTOADAPT, "search", str(task), "--runs", str(runs)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def finished() -> dict[str, str]:
        rows = {}
        for file in (runs / "overhead" / "trials").glob("*/*/outcome.json"):
            content = json.loads(file.read_text())
            if content["result"]["kind"] == "measurement":
                rows[str(file)] = json.dumps(content["result"]["rows"])
        return rows

    while len(finished()) < 9 and process.poll() is None:
        time.sleep(0.02)
    for child in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()
    before = finished()
    subprocess.run(command, check=False, capture_output=True)
    after = finished()
    keys = ["/".join(Path(f).parts[-3:-1]).split("-retry")[0] for f in after]
    lost = sum(after.get(file) != rows for file, rows in before.items())
    repeated = len(keys) - len(set(keys))
    trials = json.loads((runs / "overhead" / "results.json").read_text())["spent"]["trials"]
    print(
        f"killed after {len(before)} finished jobs, resumed to {trials} trials of 12: {lost} jobs lost, {repeated} repeated"
    )


if __name__ == "__main__":
    main()
