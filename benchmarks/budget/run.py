"""Does a budget hold? Twenty real searches with random budgets in dollars or hours; by how much each is overspent.

python benchmarks/budget/run.py        # about 8 minutes on two CPU cores
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
USD_PER_HOUR = 36.0  # a cent a second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    rng = random.Random(0)
    worst_share = worst_usd = 0.0
    with tempfile.TemporaryDirectory() as name:
        for i in range(runs):
            seconds = rng.uniform(4, 40)
            kind = rng.choice(["usd", "hours"])
            budget = {"usd": round(seconds / 100, 4)} if kind == "usd" else {"hours": seconds / 3600}
            task = {
                "name": f"budget-{i}",
                "data": {
                    "path": str(ROOT / "examples/support/messages.jsonl"),
                    "columns": {"input": "text", "output": "label"},
                },
                "metric": "accuracy",
                "models": ["embedded"],
                "search_space": "quick",
                "budget": budget,
                "economics": {"usd_per_hour": USD_PER_HOUR},
                "evaluation": {"rows": 60, "test_rows": 60, "load_requests": 60, "load_seconds": 3},
                "compute": {"on_cpu": True},
                "seed": i,
            }
            file = Path(name) / f"{i}.yaml"
            file.write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in task.items()))
            command = [sys.executable, "-m", "autoadapt.cli.main", "search", str(file), "--runs", name, "--json"]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode not in (0, 6):
                sys.exit(done.stderr)
            status = json.loads(done.stdout.splitlines()[-1])["status"]
            spent = status["spent"]["usd"] if kind == "usd" else status["spent"]["wall_seconds"] / 3600
            limit = budget[kind]
            over = max(0.0, spent - limit)
            jobs = [json.loads(f.read_text()) for f in Path(name).glob(f"budget-{i}/trials/*/*/outcome.json")]
            longest = max(job["seconds"] for job in jobs) if jobs else 0.0
            longest_job = longest / 100 if kind == "usd" else longest / 3600
            worst_share = max(worst_share, over / longest_job if longest_job else 0.0)
            worst_usd = max(worst_usd, over / limit)
            print(
                f"run {i:2}: budget {kind} {limit:.4f}, spent {spent:.4f}, over by {over / limit:.1%} of the budget, "
                f"{over / longest_job if longest_job else 0:.2f} of its longest job; {status['complete']} options, "
                f"exit {done.returncode}",
                flush=True,
            )
    print(
        f"{runs} runs: overspent by {worst_usd:.1%} of the budget at most, {worst_share:.2f} of its longest job at most"
    )


if __name__ == "__main__":
    main()
