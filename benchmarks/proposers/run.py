"""Is an instruction that is written during a search better than those of the library, at equal tokens?

    python benchmarks/proposers/run.py FOLDER --data sst2 --model MODEL

The same search of prompts three times: with the library alone, and with a slot that each proposer fills. Tokens are those
of all rows answered, and of both models while an instruction is written.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from public_tasks import SHARED

from autoadapt.api.search import run_search

SPACE = Path(__file__).parents[2] / "search_spaces" / "joint.yaml"
PROPOSERS: dict[str, dict[str, Any]] = {
    "capo": {"generations": 2, "children": 3, "population": 3, "block_rows": 15, "blocks": 2},
    "gepa": {"rounds": 4, "batch_rows": 4, "rows": 24},
}


def write_task(file: Path, arguments: argparse.Namespace, proposer: str | None) -> None:
    """Writes the task of one of the searches."""
    data = SHARED / arguments.data
    writer: dict[str, Any] = {"model": arguments.writer or arguments.model, "slots": 1, "tokens": arguments.tokens}
    writer |= {"max_new_tokens": 80, **PROPOSERS.get(proposer or "", {})}
    space = (
        SPACE.read_text()
        .replace("shots: [0, 2, 4, 8, 16]", "shots: [0]")
        .replace("when: {shots: [2, 4, 8, 16]}", "when: {shots: [2]}")
    )
    (file.parent / "space.yaml").write_text(
        space.split("\nfirst:")[0].split("  lora:")[0]
        + "\nfirst:\n  - {method: prompt, template: plain, instruction: options, shots: 0}\n"
    )
    task = {
        "name": proposer or "library",
        "data": {
            **{split: str(data / f"{split}.jsonl") for split in ("train", "validation", "test")},
            "columns": {"input": "text", "output": "label"},
            "train_rows": 200,
        },
        "metric": "accuracy",
        "models": [arguments.model],
        "methods": ["prompt"],
        "floor": False,
        "search_space": "space.yaml",
        "budget": {"trials": arguments.trials if proposer else arguments.library_trials},
        "economics": {"usd_per_hour": 1},
        "search": {"sampler": "random", "rungs": False},
        "evaluation": {
            "rows": arguments.rows,
            "test_rows": arguments.test_rows,
            "latency_requests": 5,
            "load_requests": 0,
            "onnx": False,
            "learning_curve": False,
            "final_fit": False,
        },
        "compute": {"on_cpu": True, "slots": 1},
        **({"proposer": {proposer: writer}} if proposer else {}),
        "seed": arguments.seed,
    }
    file.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in task.items()))


def course(root: Path) -> Iterator[tuple[int, int, float, int]]:
    """(tokens so far, trial, its quality on validation rows, its slot), in the order in which jobs ended."""
    files = sorted(root.glob("trials/*/*/outcome.json"), key=lambda f: f.stat().st_mtime_ns)
    tokens = 0
    for file in files:
        result, job = json.loads(file.read_text())["result"], json.loads((file.parent / "job.json").read_text())
        if result["kind"] == "proposal":
            usage = result["usage"]
            tokens += usage["tokens_in"] + usage["tokens_cached"] + usage["tokens_out"]
            texts = [
                one["text"] for one in result["tried"] if one["origin"] not in ("none", "short", "options", "choose")
            ]
            print(f"    {usage['tokens_in'] + usage['tokens_out']:,} tokens, {result['requests']} requests, "
                  f"{result['answers']} rows, wrote {len(texts)}; filled: {result['instruction']!r}")  # fmt: skip
        elif result["kind"] == "measurement" and file.parent.name.startswith("rung"):
            rows = result["rows"]
            tokens += sum(row["tokens_in"] + row["tokens_out"] for row in rows)
            quality = sum(row["stats"][0] for row in rows) / len(rows)
            yield tokens, job["trial"], quality, job["candidate"]["params"].get("slot", 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="for tasks and runs; it is made anew")
    parser.add_argument("--data", default="sst2")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--writer", help="the proposing model; the model itself where it is not named")
    parser.add_argument("--tokens", type=int, default=12_000, help="for filling the slot")
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--library-trials", type=int, default=7)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--test-rows", type=int, default=150)
    parser.add_argument("--searches", nargs="*", default=["library", *PROPOSERS])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    shutil.rmtree(arguments.folder, ignore_errors=True)
    arguments.folder.mkdir(parents=True)
    for name in (None if one == "library" else one for one in arguments.searches):
        file = arguments.folder / f"{name or 'library'}.yaml"
        write_task(file, arguments, name)
        code, root = run_search(file, runs=arguments.folder / "runs")
        print(f"{name or 'library alone'}: exit {int(code)}", flush=True)
        steps = list(course(root))
        for tokens, trial, quality, slot in steps:
            print(f"    {tokens:>8,} tokens: trial {trial} {quality:.3f}{f' (slot {slot})' if slot else ''}")
        results = json.loads((root / "results.json").read_text())
        for option in results["options"]:
            low, high = option["test_quality_ci"] or (0, 0)
            print(
                f"    trial {option['trial']} {option['params']}: test {option['test_quality']} [{low:.2f} {high:.2f}]",
                flush=True,
            )


if __name__ == "__main__":
    main()
