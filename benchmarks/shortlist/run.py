"""Prompts for a task with many labels, with and without a shortlist of labels, and by every selector of examples.

python benchmarks/shortlist/run.py MODEL [--data banking77] [--per-label 10] [--rows 200] [--only 0 2 12]

Every line is one fit of the method prompt (or of the floor), as a worker does it. Accuracy is that of validation rows;
recall is the share of rows whose right label was offered; "fit s" is what preparing examples and shortlist took; "ms" is
the median of single requests; "row ms" is the time of a row in batches.
"""

import argparse
import json
import os
import random
import statistics
import tempfile
from pathlib import Path
from typing import Any

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.jobs import Devices, Fidelity, Fit, PromptText
from autoadapt.domain.model import ModelReference
from autoadapt.domain.outcome import Failure, Measurement
from autoadapt.domain.rows import Row
from autoadapt.files import write_json, write_rows
from autoadapt.shelves import FAMILIES
from autoadapt.tasks.space import load_space
from autoadapt.worker.place import Place
from autoadapt.worker.run import run_job
from autoadapt.worker.workshop import Workshop

SHARED = Path(os.environ.get("AUTOADAPT_SHARED", Path(__file__).parents[3] / "shared"))
ALL: tuple[dict[str, Any], ...] = (
    {"method": "tfidf"},
    {"instruction": "none", "shots": 0},
    {"instruction": "options", "shots": 0},
    {"instruction": "options", "shots": 8, "selector": "nearest"},
    {"instruction": "none", "shots": 8, "selector": "nearest"},
    {"instruction": "none", "shots": 8, "selector": "nearest", "order": "best_first"},
    {"instruction": "none", "shots": 8, "selector": "nearest_embedding"},
    {"instruction": "none", "shots": 8, "selector": "diverse"},
    {"instruction": "none", "shots": 8, "selector": "hard"},
    {"instruction": "none", "shots": 8, "selector": "balanced"},
    {"instruction": "options", "shots": 0, "shortlist": 8},
    {"instruction": "options", "shots": 4, "shortlist": 4, "selector": "nearest"},
    {"instruction": "options", "shots": 8, "shortlist": 8, "selector": "nearest"},
    {"instruction": "options", "shots": 8, "shortlist": 8, "selector": "nearest_embedding"},
    {"instruction": "options", "shots": 8, "shortlist": 8, "selector": "nearest", "label_score": "calibrated"},
    {"instruction": "options", "shots": 8, "shortlist": 8, "selector": "nearest", "order": "best_first"},
    {"instruction": "options", "shots": 16, "shortlist": 16, "selector": "nearest"},
)


def rows_of(file: Path) -> list[Row]:
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [Row(id=i, input=line["text"], outputs=[line["label"]]) for i, line in enumerate(lines)]


def some_of_each(rows: list[Row], count: int) -> list[Row]:
    drawn, seen = [], dict.fromkeys((row.outputs[0] for row in rows), 0)
    for row in random.Random(0).sample(rows, len(rows)):
        if seen[row.outputs[0]] < count:
            seen[row.outputs[0]] += 1
            drawn.append(row)
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", default="banking77")
    parser.add_argument("--per-label", type=int, default=10)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--only", type=int, nargs="*", default=[], help="numbers of candidates, from 0")
    asked = parser.parse_args()
    folder = SHARED / "data" / asked.data
    train = some_of_each(rows_of(folder / "train.jsonl"), asked.per_label)
    labels = sorted({row.outputs[0] for row in train})
    validation = random.Random(1).sample(rows_of(folder / "validation.jsonl"), asked.rows)
    root, workshop, space = Path(tempfile.mkdtemp()), Workshop(), load_space("joint", Path())
    (root / "data").mkdir()
    for name, rows in (("train", train), ("validation", validation), ("dev", validation[:1]), ("test", validation[:1])):
        write_rows(root / "data" / f"{name}.jsonl", rows)
    devices = Devices(kind="cpu", count=1, accelerator="cpu", threads=1)
    print(f"{len(labels)} labels, {len(train)} training rows, {len(validation)} validation rows, {asked.model}")
    print("accuracy  recall  fit s     ms  row ms  tokens  candidate")
    for trial, params in enumerate(ALL):
        if asked.only and trial not in asked.only:
            continue
        method, name = params.get("method", "prompt"), asked.model
        if method == "prompt":
            family = FAMILIES.get("causal_lm")
            model, template = family.find(asked.model, Path(), False), "input_output"
            own = {**params, "template": template}
            prompt = PromptText(
                template=space.templates[template], instruction=space.instructions[params["instruction"]]
            )
        else:
            model, own = ModelReference(name="classical", family="classical", location=""), {}
            prompt = PromptText(template="{{ input }}", instruction="")
            name = "classical"
        job = Fit(
            trial=trial,
            candidate=Candidate(method=method, model=name, params=own),
            model=model,
            metric=PluginChoice(name="accuracy"),
            labels=labels,
            prompt=prompt,
            seed=1,
            state_folder=f"trials/{trial:04d}",
            rung=0,
            fidelity=Fidelity(rows=len(validation), steps=1.0, latency_requests=5),
        )
        place = root / "trials" / f"{trial:04d}" / "rung0"
        place.mkdir(parents=True)
        write_json(place / "job.json", job)
        result = run_job(place, Place(devices=devices), workshop).result
        shown = " ".join(f"{key}={value}" for key, value in params.items())
        if isinstance(result, Failure):
            print(f"{'-':>8}  {'-':>6}  {'-':>5}  {'-':>5}  {'-':>6}  {'-':>6}  {shown}: {result.reason}", flush=True)
            continue
        assert isinstance(result, Measurement)
        score = statistics.mean(row.stats[0] for row in result.rows)
        recall = "-" if result.shortlist_recall is None else f"{result.shortlist_recall:.3f}"
        tokens = statistics.mean(row.tokens_in for row in result.rows)
        print(
            f"{score:8.3f}  {recall:>6}  {result.training.total_device_seconds:5.1f}  "
            f"{statistics.median(result.latency_ms):5.1f}  {1000 * result.inference_seconds / len(result.rows):6.1f}  "
            f"{tokens:6.0f}  {shown}",
            flush=True,
        )


if __name__ == "__main__":
    main()
