"""Which learning rates suit a base model of what size? One full fit per rate, method, model and task.

python benchmarks/learning_rate/run.py --data examples/support/messages.jsonl --model smollm2 --method lora 7e-4 2e-3
"""

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.jobs import Devices, Fidelity, Fit, PromptText
from autoadapt.domain.outcome import Measurement
from autoadapt.domain.rows import Row
from autoadapt.files import write_json, write_rows
from autoadapt.tasks.found_models import find_model
from autoadapt.worker.place import Place
from autoadapt.worker.run import run_job
from autoadapt.worker.workshop import Workshop

TEMPLATE = "{% if instruction %}{{ instruction }}\n\n{% endif %}{{ input }}\nAnswer:"
ADAPTER = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rates", nargs="+", type=float)
    parser.add_argument("--data", type=Path, required=True, help="JSON lines with text and label")
    parser.add_argument("--model", required=True)
    parser.add_argument("--method", choices=["lora", "full"], required=True)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rows", type=int, default=120, help="training rows")
    parser.add_argument("--validation", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    model = find_model(asked.model, Path(), download=False)
    records = [json.loads(line) for line in asked.data.read_text(encoding="utf-8").splitlines()]
    random.Random(0).shuffle(records)
    rows = [Row(id=i, input=r["text"], outputs=[r["label"]]) for i, r in enumerate(records)]
    splits = {
        "train": rows[: asked.rows],
        "validation": rows[asked.rows :][: asked.validation],
        "dev": rows[asked.rows + asked.validation :][:32],
    }
    place = Place(devices=Devices(kind="a CPU", count=1, accelerator="cpu", threads=asked.threads))
    workshop = Workshop()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "data").mkdir()
        for name, part in splits.items():
            write_rows(root / "data" / f"{name}.jsonl", part)
        for trial, rate in enumerate(asked.rates):
            params = {"template": "plain", "learning_rate": rate, "num_train_epochs": asked.epochs, "batch_size": 16}
            job = Fit(
                trial=trial,
                rung=0,
                candidate=Candidate(
                    method=asked.method,
                    model=model.name,
                    params={**params, **(ADAPTER if asked.method == "lora" else {})},
                ),
                model=model,
                metric=PluginChoice(name="accuracy"),
                labels=sorted({row.outputs[0] for row in rows}),
                prompt=PromptText(template=TEMPLATE, instruction=""),
                fidelity=Fidelity(rows=len(splits["validation"]), steps=1.0, latency_requests=1),
                seed=7,
                state_folder=f"trials/{trial:04d}",
            )
            job_folder = root / job.state_folder / "fit"
            job_folder.mkdir(parents=True)
            write_json(job_folder / "job.json", job)
            begun = time.perf_counter()
            result = run_job(job_folder, place, workshop).result
            said = f"{asked.data.parent.name} {asked.model} {asked.method} {rate:.2g}: "
            if isinstance(result, Measurement):
                right = sum(row.stats[0] for row in result.rows) / len(result.rows)
                losses = result.train_loss or [float("nan")]
                said += f"{right:.3f} (last loss {losses[-1]:.3f})"
            else:
                said += str(result)
            print(said, f"{time.perf_counter() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
