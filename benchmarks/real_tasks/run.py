"""Three real tasks searched with a real small model: the frontier of each, and the recommended option beside the untuned prompt.

    python benchmarks/real_tasks/run.py [--runs runs] [TASK ...]

Prints, per task: the frontier table, trials per method, wall time, the share of device time spent outside fit and
measure, and the recommended option's quality on test rows against the zero-shot prompt's. A finished run is not
repeated.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=["trec6", "banking77", "e2e_nlg"])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="passed on to the search")
    args = parser.parse_args()
    if not (HERE / "../../../shared/data").is_dir():
        sys.exit("the public data and models are not beside this checkout (../shared)")
    for name in args.tasks:
        started = time.time()
        command = [sys.executable, "-m", "autoadapt.cli.main", "search", str(HERE / f"{name}.yaml")]
        command += ["--runs", str(args.runs)]
        subprocess.run([*command, *(part for value in args.set for part in ("--set", value))], check=False)
        summarise(args.runs / name, time.time() - started)


def summarise(run: Path, seconds: float) -> None:
    """Prints one task's figures from its result files."""
    results = json.loads((run / "results.json").read_text())
    options = {o["trial"]: o for o in results["options"]}
    advice, spent = results["recommendation"], results["spent"]
    chosen, baseline = options.get(advice["trial"]), options.get(advice["baseline"])
    per_method = ", ".join(f"{m} {t['trials']}" for m, t in results["methods"].items())
    print(
        f"\n{run.name}: this run {seconds:.0f} s, in all {spent['wall_seconds']:.0f} s; trials per method: {per_method}"
    )
    outside = spent["device_seconds"] - spent["fit_measure_seconds"]
    slots = json.loads((run / "task.lock.yaml").read_text())["hardware"]["slots"]
    idle = spent["wall_seconds"] * slots - spent["device_seconds"]
    print(
        f"  {slots} slot(s), {spent['wall_seconds'] * slots:.0f} slot-seconds: outside fit and measure "
        f"{(outside + idle) / (spent['wall_seconds'] * slots):.1%} (imports and loading {outside:.0f} s, "
        f"driver, worker start and idle slots {idle:.0f} s)"
    )
    if chosen and baseline:
        print(
            f"  test quality: recommended (trial {chosen['trial']}, {chosen['method']}) {chosen['test_quality']:.3f} "
            f"{chosen['test_quality_ci']}, untuned zero-shot prompt {baseline['test_quality']:.3f} "
            f"{baseline['test_quality_ci']}\n"
        )


if __name__ == "__main__":
    main()
