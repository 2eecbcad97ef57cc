"""Is a plan right? Plans three tasks, runs them, and compares: hours, device-hours, dollars, trials per method.

python benchmarks/plan/run.py        # about 15 minutes on two CPU cores; skips tasks whose data are absent
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("AUTOADAPT_SHARED", ROOT.parent / "shared"))


def tasks(folder: Path, names: Sequence[str], trials: int) -> dict[str, Path]:
    """Name -> task file."""
    files = {"support": ROOT / "examples/support/task.yaml"} if "support" in names else {}
    for name in (n for n in names if n != "support"):
        data = SHARED / "data" / name
        if not data.is_dir():
            print(f"{name}: skipped, {data} is absent")
            continue
        task = {
            "name": name,
            "data": {
                **{split: str(data / f"{split}.jsonl") for split in ("train", "validation", "test")},
                "columns": {"input": "text", "output": "label"},
                "train_rows": 500,
            },
            "metric": "accuracy",
            "models": ["embedded"],
            "search_space": "quick",
            "budget": {"trials": trials},
            "economics": {"usd_per_hour": 0.1},
            "evaluation": {"rows": 200, "test_rows": 300, "load_requests": 60},
            "compute": {"on_cpu": True},
        }
        (folder / f"{name}.yaml").write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in task.items()))
        files[name] = folder / f"{name}.yaml"
    return files


def autoadapt(*arguments: object) -> str:
    command = [sys.executable, "-m", "autoadapt.cli.main", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 5, 6):
        sys.exit(done.stderr)
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=["support", "trec6", "sst2"])
    parser.add_argument("--trials", type=int, default=12, help="of trec6 and sst2; support keeps its 24")
    args = parser.parse_args()
    errors = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for task, file in tasks(folder, args.tasks, args.trials).items():
            autoadapt("plan", file, "--runs", folder)
            autoadapt("search", file, "--runs", folder, "--json")
            results = json.loads((folder / task / "results.json").read_text())
            plan, spent = results["plan"], results["spent"]
            for what, planned, actual in (
                ("trials", plan["trials"], spent["trials"]),
                ("hours", plan["hours"], spent["wall_seconds"] / 3600),
                ("device-hours", plan["device_hours"], spent["device_seconds"] / 3600),
                ("USD", plan["usd"], spent["usd"]),
            ):
                error = planned["likely"] / actual - 1
                inside = "inside" if planned["low"] <= actual <= planned["high"] else "OUTSIDE"
                print(
                    f"{task:8} {what:12} planned {planned['likely']:.4f} [{planned['low']:.4f}-{planned['high']:.4f}] "
                    f"took {actual:.4f}: {error:+.0%}, {inside}",
                    flush=True,
                )
                if what in ("hours", "device-hours"):
                    errors.append(abs(error))
            for method, part in results["methods"].items():
                planned = plan["methods"][method]
                hours = part["device_seconds"] / 3600
                print(
                    f"{task:8}   {method:8} trials {planned['trials']['low']:.0f}-{planned['trials']['high']:.0f} "
                    f"took {part['trials']}; device-hours {planned['device_hours']['low']:.4f}-"
                    f"{planned['device_hours']['high']:.4f} took {hours:.4f}"
                )
    print(f"median error of hours and device-hours: {statistics.median(errors):.0%}")


if __name__ == "__main__":
    main()
