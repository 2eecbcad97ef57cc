"""What reasoning and several drawn answers bring and cost: one model on two public tasks, zero-shot and with 4 examples.

    python benchmarks/prompt_decoding/run.py --rows 100 --data sst2 trec6

Every line is a real job of a worker, as a search would run it: accuracy with its 95 % Wilson interval, tokens read and
written per row, seconds per row in batches, and the median of single requests.
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import mean, median
from typing import Any

from scipy.stats import binomtest

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.jobs import Devices, Fidelity, Fit, PromptText, TrainingSettings
from autoadapt.domain.outcome import Measurement
from autoadapt.domain.rows import Row
from autoadapt.files import write_json, write_rows
from autoadapt.models.causal_lm import CausalLm
from autoadapt.tasks.space import load_space
from autoadapt.worker.place import Place
from autoadapt.worker.run import run_job
from autoadapt.worker.workshop import Workshop

SHARED = (Path(__file__).parent / "../../../shared/data").resolve()
STEPS = {"reasoning": "steps", "reasoning_tokens": 64}
VARIANTS: dict[str, dict[str, Any]] = {
    "zero-shot": {},
    "zero-shot, calibrated": {"label_score": "calibrated"},
    "4 examples": {"shots": 4, "selector": "balanced"},
    "reasoning": STEPS,
    "reasoning, 5 samples": {**STEPS, "samples": 5, "temperature": 0.7, "top_p": 0.95},
}
DEVICES = Devices(kind="CPU", count=1, accelerator="cpu", threads=1)


def rows_of(data: str, split: str, count: int) -> list[Row]:
    """The first rows of a split of a data set."""
    lines = (SHARED / data / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()[:count]
    parsed = [json.loads(line) for line in lines]
    return [Row(id=i, input=row["text"], outputs=[row["label"]]) for i, row in enumerate(parsed)]


def measured(root: Path, job: Fit, workshop: Workshop) -> Measurement:
    """What a job measures."""
    folder = root / job.state_folder / "fit"
    folder.mkdir(parents=True)
    write_json(folder / "job.json", job)
    result = run_job(folder, Place(devices=DEVICES), workshop).result
    if not isinstance(result, Measurement):
        raise SystemExit(f"{job.candidate.params}: {result}")
    return result


def line_of(name: str, measurement: Measurement) -> str:
    """A row of a table."""
    rows = measurement.rows
    right = round(sum(row.stats[0] for row in rows))
    low, high = binomtest(right, len(rows)).proportion_ci(method="wilson")
    read, written = mean(row.tokens_in for row in rows), mean(row.tokens_out for row in rows)
    seconds = measurement.inference_seconds / len(rows)
    single = f"{median(measurement.latency_ms):.0f}" if measurement.latency_ms else "-"
    figures = f"{right / len(rows):.2f} ({low:.2f}-{high:.2f}) | {read:.0f} | {written:.0f}"
    return f"| {name} | {figures} | {seconds:.3f} | {single} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["sst2", "trec6"])
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--single", type=int, default=3, help="single requests timed")
    parser.add_argument("--prompts", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    options = parser.parse_args()
    space = load_space("joint", Path())
    model = CausalLm().find(options.model, Path(), download=True)
    for data in options.data:
        with tempfile.TemporaryDirectory() as place:
            root, workshop = Path(place), Workshop()
            (root / "data").mkdir()
            train = rows_of(data, "train", 400)
            write_rows(root / "data/train.jsonl", train)
            write_rows(root / "data/validation.jsonl", rows_of(data, "test", options.rows))
            print(f"\n{data}, {options.rows} test rows, {options.model}\n")
            print("| prompt | accuracy (95 % interval) | tokens read | written | s a row | single request ms |")
            print("|---|---|---|---|---|---|", flush=True)
            for number, (name, params) in enumerate((name, VARIANTS[name]) for name in options.prompts):
                prompt = {"template": "plain", "instruction": "options"}
                job = Fit(
                    trial=number,
                    candidate=Candidate(method="prompt", model=model.name, params={**prompt, **params}),
                    model=model,
                    metric=PluginChoice(name="accuracy"),
                    labels=sorted({row.outputs[0] for row in train}),
                    prompt=PromptText(template=space.templates["plain"], instruction=space.instructions["options"]),
                    seed=0,
                    training=TrainingSettings(),
                    state_folder=f"trials/{number:04d}",
                    rung=0,
                    fidelity=Fidelity(rows=options.rows, steps=1.0, latency_requests=options.single),
                )
                print(line_of(name, measured(root, job, workshop)), flush=True)


if __name__ == "__main__":
    main()
