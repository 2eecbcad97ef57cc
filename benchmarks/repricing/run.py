"""How long does `autoadapt compare` take on a study of 1,000 trials? The whole command, beside one of 10 trials.

python benchmarks/repricing/run.py
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from autoadapt.domain.load import Load, LoadRun
from autoadapt.domain.option import RawOption, Recommendation, Spent
from autoadapt.domain.task import Task
from autoadapt.domain.usage import Usage
from autoadapt.runs.lock import LOCK_FILE
from autoadapt.runs.results import Results, write_results

ROOT = Path(__file__).parents[2]
TIMES = 5
HARDWARE = "NVIDIA H100"


def study(root: Path, trials: int) -> None:
    """A run folder of made-up options, the first twelve of them measured under load."""
    rng = random.Random(0)
    task = Task.model_validate(
        {
            "name": "many",
            "data": {"path": "data.csv"},
            "metric": "accuracy",
            "models": ["m"],
            "budget": {"trials": trials},
            "economics": {"usd_per_hour": 2.69},
        }
    )
    options = []
    for i in range(trials):
        method = ("prompt", "lora", "full")[i % 3]
        tuned = method != "prompt"
        quality = min(0.95, (0.75 if tuned else 0.6) + rng.gauss(0, 0.06))
        seconds = rng.lognormvariate(0, 0.4)
        train_seconds = 600 * rng.lognormvariate(0, 0.5) if tuned else 0.0
        runs = [
            LoadRun(rate=2.0**k, sent_seconds=50, seconds=50, e2el_ms=[20.0 * seconds * (1 + k)] * 200)
            for k in range(8)
        ]
        options.append(
            RawOption(
                trial=i,
                method=method,
                model="m",
                params={"template": "plain", "learning_rate": rng.random()},
                quality=quality,
                quality_ci=(quality - 0.05, quality + 0.05),
                quality_expected=quality,
                hardware=HARDWARE,
                devices=1,
                training=Usage(device_seconds={HARDWARE: train_seconds}),
                answering=Usage(device_seconds={HARDWARE: 5 * seconds}),
                values={"quality": quality, "cost_usd_per_1k": 0.01 * seconds, "latency_ms": 30 * seconds},
                train_seconds=train_seconds,
                inference_seconds=5 * seconds,
                rows=300,
                tokens_in=60_000,
                tokens_shared=0,
                tokens_out=900,
                tokens_in_ci=(195.0, 205.0),
                tokens_out_ci=(3.0, 3.0),
                free_text=False,
                decode_share=0.0,
                latency_p50_ms=20 * seconds,
                latency_p95_ms=30 * seconds,
                load=Load(runs=runs, engine="made up", hardware=HARDWARE) if i < 12 else None,
                artifact_bytes=1_000_000,
                peak_memory_bytes=10**9,
                shares_base=method != "full",
                on_frontier=i < 12,
                weights_kept=i < 12,
            )
        )
    advice = Recommendation(
        scenario="task",
        trial=None,
        reason="made up",
        meets_constraints=False,
        best_quality=None,
        cheapest=None,
        fastest=None,
        baseline=None,
    )
    root.mkdir()
    (root / LOCK_FILE).write_text(json.dumps({"task": task.model_dump(mode="json")}))
    write_results(root, Results(options=[], measured=options, recommendation=advice, spent=Spent(usd=12.0)))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        medians = {}
        for trials in (10, 1000):
            root = Path(name) / str(trials)
            study(root, trials)
            command = [sys.executable, "-m", "autoadapt.cli.main", "compare", str(root)]
            command.append(str(ROOT / "examples/support/scenarios.yaml"))
            seconds = []
            for _ in range(TIMES):
                begun = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                seconds.append(time.perf_counter() - begun)
            medians[trials] = statistics.median(seconds)
            print(f"{trials} trials, 3 scenarios: {medians[trials]:.2f} s, the whole command, median of {TIMES}")
        print(f"ratio {medians[1000] / medians[10]:.1f}")


if __name__ == "__main__":
    main()
