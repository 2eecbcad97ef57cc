"""How many points wording and spelling move a zero-shot prompt, a few-shot prompt and a LoRA of the same model.

python benchmarks/robustness/run.py FOLDER --model MODEL [--data sst2 trec6] [--rows 200] [--variants 4]

Each is the one candidate of a small search, which scores it on test rows as it is and under perturbations.
"""

import argparse
import json
import sys
from pathlib import Path

from ruamel.yaml import YAML

from autoadapt import Study
from autoadapt.api.search import run_search
from autoadapt.verdict.robustness import KIND_NAMES, loss_text, spread_text

sys.path.insert(0, str(Path(__file__).parents[1]))
from public_tasks import SHARED

SPACE = Path(__file__).parents[2] / "search_spaces/joint.yaml"
CANDIDATES: dict[str, dict[str, object]] = {
    "zero-shot": {"method": "prompt", "template": "text_label", "instruction": "options", "shots": 0},
    "8 examples": {
        "method": "prompt",
        "template": "text_label",
        "instruction": "options",
        "shots": 8,
        "selector": "balanced",
        "label_score": "calibrated",
    },
    "LoRA": {
        "method": "lora",
        "template": "text_label",
        "instruction": "options",
        "r": 16,
        "lora_alpha": 32,
        "learning_rate": 2e-3,
        "num_train_epochs": 4,
        "batch_size": 16,
    },
}
"""What is compared, by name."""


def task_of(folder: Path, data: str, candidate: str, arguments: argparse.Namespace) -> Path:
    """Writes the task and the search space of one candidate."""
    params, name = CANDIDATES[candidate], f"{data}-{candidate.replace(' ', '-').lower()}"
    space = YAML(typ="safe", pure=True).load(SPACE)
    space["first"] = [params]
    (folder / f"{name}-space.yaml").write_text(json.dumps(space))
    task = {
        "name": name,
        "data": {
            **{split: str(SHARED / data / f"{split}.jsonl") for split in ("train", "validation", "test")},
            "columns": {"input": "text", "output": "label"},
            "train_rows": arguments.train_rows,
        },
        "metric": "accuracy",
        "models": [arguments.model],
        "methods": [params["method"]],
        "floor": False,
        "search_space": f"{name}-space.yaml",
        "search": {"sampler": "random", "rungs": False},
        "budget": {"trials": 1},
        "economics": {"usd_per_hour": 0.1},
        "evaluation": {
            "rows": 40,
            "test_rows": arguments.rows,
            "latency_requests": 5,
            "load_requests": 0,
            "final_fit": False,
            "learning_curve": False,
            "robustness_rows": arguments.rows,
            "robustness_variants": arguments.variants,
        },
        "compute": {"on_cpu": True, "slots": 1},
    }
    file = folder / f"{name}.yaml"
    file.write_text(json.dumps(task, indent=1))
    return file


def main() -> None:
    """Searches what was not searched in the folder before, and prints a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--data", nargs="+", default=["sst2", "trec6"])
    parser.add_argument("--candidates", nargs="+", default=list(CANDIDATES))
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--train-rows", type=int, default=800)
    parser.add_argument("--variants", type=int, default=4)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print(f"| data | option | test quality | spread of wordings | as measured | {' | '.join(KIND_NAMES.values())} |")
    print("|---" * (5 + len(KIND_NAMES)) + "|")
    for data in arguments.data:
        for candidate in arguments.candidates:
            file = task_of(arguments.folder, data, candidate, arguments)
            _, root = run_search(file, runs=arguments.folder / "runs")
            print(row_of(data, candidate, Study.load(root)), flush=True)


def row_of(data: str, candidate: str, study: Study) -> str:
    """A row of the table."""
    option = study.options[0]
    robust, quality = option.robustness, option.test_quality
    if robust is None or quality is None:
        return f"| {data} | {candidate} | not scored |"
    losses = {kind.kind: loss_text(kind.mean, kind.low, kind.high).replace(" points", "") for kind in robust.kinds}
    spread = "-" if robust.spread is None else spread_text(robust.spread).replace(" points", "")
    observed = "-" if robust.spread is None else f"{100 * robust.spread.observed:.1f}"
    cells = [losses.get(kind, "-") for kind in KIND_NAMES]
    return f"| {data} | {candidate} | {quality:.3f} | {spread} | {observed} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
