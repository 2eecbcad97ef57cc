"""Runs the same candidates on several data sets in full and writes what each gave: from these tables a portfolio is learnt.

    python benchmarks/real_budgets/record.py [--runs runs/recorded] [--minutes 12] [--out tables/trials.csv] [DATA SET ...]

Candidates are drawn for each arm from the ranges below, the same ones on every data set and in the same order, the arms
taking turns, so that whatever the time limit leaves out is left out of all arms alike. Each is trained in full on the
training rows and scored on up to 500 rows of the data set's own test file, by an ordinary search with the random sampler,
which resumes where it was stopped. The data are not part of this project; they must lie in ../shared beside the checkout.
"""

import argparse
import csv
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from scipy.stats import qmc

sys.path.insert(0, str(Path(__file__).parents[1]))

from public_tasks import METRICS, SHARED

from autoadapt.api.study import Study
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.trial_state import TrialState
from autoadapt.tasks.space import load_space

HERE = Path(__file__).parent
SUPPORT = (HERE / "../../examples/support/messages.jsonl").resolve()
TRAIN_ROWS = {"trec6": 300, "sst2": 300, "support": 300, "banking77": 600, "medical_abstracts": 200}
TRAINING = {
    "num_train_epochs": (2, 12),
    "batch_size": [8, 16, 32],
    "warmup_ratio": [0.0, 0.1],
    "weight_decay": [0.0, 0.01],
}
ADAPTER = {
    "r": [4, 8, 16, 32],
    "lora_alpha": [16, 32, 64],
    "lora_dropout": [0.0, 0.1],
    "target_modules": ["all-linear", "attention"],
}
PROMPT = {"template": ["plain", "input_output", "arrow"], "instruction": ["none", "options"]}
ARMS: dict[str, tuple[int, dict[str, Any]]] = {
    "head@encoder": (
        8,
        {"pooling": ["mean", "cls"], "scaling": ["unit", "standard"], "depth": [1.0, 0.8], "C": (1.0, 1000.0)},
    ),
    "full@encoder": (10, {"learning_rate": (2e-5, 5e-4), **TRAINING}),
    "lora@encoder": (10, {**ADAPTER, "learning_rate": (2e-4, 5e-3), **TRAINING}),
    "full": (7, {**PROMPT, "learning_rate": (3e-5, 2e-3), **TRAINING}),
    "lora": (7, {**PROMPT, **ADAPTER, "learning_rate": (3e-4, 1e-2), **TRAINING}),
    "head": (
        5,
        {"pooling": ["mean", "last"], "scaling": ["unit", "standard"], "depth": [0.7, 0.5, 1.0], "C": (1.0, 1000.0)},
    ),
    "prompt": (
        5,
        {**PROMPT, "shots": [0, 4, 8], "selector": ["balanced", "nearest"], "label_score": ["sum", "calibrated"]},
    ),
}
"""Arm -> how many candidates, and the parameters: choices, or a range (logarithmic where it spans a factor of 10)."""
DEFAULTS: list[dict[str, Any]] = [
    {"method": "head@encoder", "pooling": "mean", "scaling": "unit", "depth": 1.0, "C": 30.0},
    {"method": "full@encoder", "learning_rate": 1e-4, "num_train_epochs": 8, "batch_size": 16, "warmup_ratio": 0.1},
    {
        "method": "lora@encoder",
        "r": 16,
        "lora_alpha": 32,
        "learning_rate": 1e-3,
        "num_train_epochs": 8,
        "batch_size": 16,
        "warmup_ratio": 0.1,
    },
    {
        "method": "full",
        "template": "plain",
        "instruction": "none",
        "learning_rate": 3e-4,
        "num_train_epochs": 4,
        "batch_size": 8,
    },
    {
        "method": "lora",
        "template": "plain",
        "instruction": "none",
        "r": 16,
        "lora_alpha": 32,
        "learning_rate": 2e-3,
        "num_train_epochs": 4,
        "batch_size": 8,
    },
    {"method": "head", "pooling": "mean", "scaling": "standard", "depth": 0.7, "C": 30.0},
    {"method": "prompt", "template": "plain", "instruction": "options", "shots": 0},
    {"method": "head@encoder", "pooling": "mean", "scaling": "unit", "depth": 0.8, "C": 30.0},
    {"method": "prompt", "template": "input_output", "instruction": "options", "shots": 8, "selector": "nearest"},
]
"""What the search began with when the tables were made."""
TASK = """\
name: {name}
data: {data}
metric: {metric}
models: [embedded, minilm, classical]
methods: [prompt, head, lora, full]
search_space: ./space.yaml
budget: {{hours: {hours}, trials: {trials}}}
economics: {{usd_per_hour: 0.10, queries_per_month: 100000, horizon_months: 12}}
evaluation: {{rows: 500, test_rows: 10, latency_requests: 10, load_requests: 0, learning_curve: false}}
search: {{sampler: random, rungs: false}}
compute: {{slots: 1}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(TRAIN_ROWS))
    parser.add_argument("--runs", type=Path, default=Path("runs/recorded"))
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--out", type=Path, default=HERE / "tables/trials.csv")
    args = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit("the public data is not beside this checkout (../shared)")
    args.runs.mkdir(parents=True, exist_ok=True)
    first = candidates()
    (args.runs / "space.yaml").write_text(json.dumps(space(first)))  # JSON is YAML
    for name in args.names:
        record(name, args, len(first))
    write(args.runs, args.out)


def candidates() -> list[dict[str, Any]]:
    """Parameters of every candidate, the arms taking turns; numbers spread evenly (Sobol) and choices in rotation."""
    drawn = [[{"method": arm, **one} for one in draw(arm, *wanted)] for arm, wanted in ARMS.items()]
    return [*DEFAULTS, *(one for turn in itertools.zip_longest(*drawn) for one in turn if one is not None)]


def draw(arm: str, count: int, specs: dict[str, Any]) -> list[dict[str, Any]]:
    units = qmc.Sobol(len(specs), seed=sum(map(ord, arm))).random(16)[:count]
    drawn = [{name: value(spec, u) for (name, spec), u in zip(specs.items(), row, strict=True)} for row in units]
    for one in drawn:
        if one.get("shots") == 0:
            del one["selector"]
    return drawn


def value(spec: Any, unit: float) -> Any:
    if isinstance(spec, list):
        return spec[int(unit * len(spec))]
    low, high = spec
    if isinstance(low, int):
        return int(low + unit * (high + 1 - low))
    return float(f"{low * (high / low) ** unit:.2g}")


def space(first: list[dict[str, Any]]) -> dict[str, Any]:
    """A search space that holds the candidates, in which they come first."""
    joint = load_space("joint", HERE)
    branches = {
        arm: {name: wide(spec) for name, spec in specs.items() if name not in PROMPT}
        for arm, (_, specs) in ARMS.items()
    }
    branches["prompt"]["selector"] = {"search": ["balanced", "nearest"], "when": {"shots": [4, 8]}}
    return {
        "version": 1,
        "templates": {name: joint.templates[name] for name in PROMPT["template"]},
        "instructions": {name: joint.instructions[name] for name in PROMPT["instruction"]},
        "shared": PROMPT,
        "branches": branches,
        "first": first,
    }


def wide(spec: Any) -> Any:
    if isinstance(spec, list):
        return spec
    return {"low": spec[0], "high": spec[1], "log": not isinstance(spec[0], int)}


def record(name: str, args: argparse.Namespace, trials: int) -> None:
    """One search over the candidates; resumes where it was stopped."""
    rows, files = TRAIN_ROWS[name], SHARED / name.split("-")[0]
    columns = "columns: {input: text, output: label}"
    data = f"{{train: {files}/train.jsonl, validation: {files}/test.jsonl, test: {files}/validation.jsonl, {columns}, train_rows: {rows}}}"
    if name == "support":
        data = f"{{path: {SUPPORT}, {columns}, holdout: 0.25, train_rows: {rows}}}"
    task = args.runs / f"{name}.yaml"
    hours = args.minutes / 60
    task.write_text(TASK.format(name=name, data=data, metric=METRICS.get(name, "accuracy"), hours=hours, trials=trials))
    subprocess.run([sys.executable, "-m", "autoadapt", "search", str(task), "--runs", str(args.runs)], check=False)


def write(runs: Path, out: Path) -> None:
    """Every trial that was measured or failed, a line each."""
    lines = []
    for name in (n for n in TRAIN_ROWS if (runs / n / "results.json").is_file()):
        finished = [t for t in Study.load(runs / name).rows if t.state in (TrialState.COMPLETE, TrialState.FAILED)]
        lines += [line(name, trial) for trial in finished]
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    print(f"{len(lines)} trials in {out}")


def line(name: str, trial: TrialRow) -> dict[str, Any]:
    return {
        "data": name,
        "rows": TRAIN_ROWS[name],
        "method": trial.method,
        "model": trial.model,
        "state": trial.state,
        "quality": "" if trial.quality is None else f"{trial.quality:.4f}",
        "train_seconds": f"{trial.train_seconds:.2f}",
        "train_steps": trial.train_steps,
        "device_seconds": f"{trial.device_seconds:.2f}",
        "latency_ms": "" if trial.latency_ms is None else f"{trial.latency_ms:.2f}",
        "params": json.dumps(trial.params, sort_keys=True),
    }


if __name__ == "__main__":
    main()
