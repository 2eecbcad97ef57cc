"""What rows labelled by a teacher that is right nine times in ten buy, for methods with 100 labelled rows.

python benchmarks/teacher/run.py [--data trec6] [--seeds 0] [--rows 100] [--accuracy 0.9]

For each data set and seed a search runs: a server of this script is the hosted model, labels rows as its only prompt is
asked to, and says that it is sure of all of them. Then the same candidates are fitted on the labelled rows and on 0, 500
and 2,000 rows of the teacher, by jobs as a search has them, and answer the test rows.
"""

import argparse
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from autoadapt.api.search import run_search
from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.events import Event
from autoadapt.domain.jobs import Devices, PromptText, Refit
from autoadapt.domain.model import ModelReference
from autoadapt.domain.outcome import Failure, Measurement
from autoadapt.files import write_json
from autoadapt.metrics.accuracy import Accuracy
from autoadapt.row_statistics import stats_array
from autoadapt.runs.results import read_results
from autoadapt.shelves import FAMILIES
from autoadapt.verdict.comparisons import difference_text, paired
from autoadapt.worker.place import Place
from autoadapt.worker.run import run_job
from autoadapt.worker.workshop import Workshop

SHARED = (Path(__file__).parent / "../../../shared/data").resolve()
COUNTS = (0, 500, 2000)
SPACE = """\
templates:
  plain: "{{ instruction }}\\n{% for e in examples %}{{ e.input }}\\n{{ e.output }}\\n{% endfor %}{{ input }}\\nAnswer:"
instructions: {options: "One of: {{ labels | join(', ') }}."}
shared: {template: [plain], instruction: [options]}
branches:
  prompt@remote: {shots: [0], label_way: [decisions]}
"""
CANDIDATES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("tfidf", "classical", {"units": "both", "classifier": "logistic_regression", "C": 10.0}),
    ("head", "embedded", {"pooling": "mean", "scaling": "standard", "depth": 0.7, "C": 30.0}),
)


@contextmanager
def teacher(truth: dict[str, str], labels: list[str], accuracy: float) -> Iterator[str]:
    """A server that answers typed questions rightly with a probability, by the content of the question."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, reply = (200, self._reply(body)) if self.path.endswith("/decisions") else (404, {})
            if body.get("model") and self.path.endswith("/chat/completions"):
                status, reply = 200, self._chat()
            text = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def _reply(self, body: dict[str, Any]) -> dict[str, Any]:
            prompt, question = body["input"], body["questions"][0]
            offered = [choice["value"] for choice in question["choices"]]
            right = next((truth[line] for line in reversed(prompt.splitlines()) if line in truth), offered[0])
            draw = random.Random(prompt)
            wrong = draw.choice([label for label in offered if label != right])
            best = right if draw.random() < accuracy and right in offered else wrong
            shares = [0.9 if label == best else 0.1 / (len(offered) - 1) for label in offered]
            listed = [{"value": v, "probability": p} for v, p in zip(offered, shares, strict=True)]
            answer = {
                "type": "choice",
                "name": question.get("name", "answer"),
                "choice": best,
                "confidence": 0.9,
                "probabilities": listed,
            }
            usage = {"input_tokens": len(prompt.split()), "output_tokens": 0}
            return {"model": "m", "answers": [answer], "usage": usage}

        def _chat(self) -> dict[str, Any]:
            message = {"role": "assistant", "content": labels[0]}
            usage = {"prompt_tokens": 10, "completion_tokens": 1}
            return {"model": "m", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()


def say(event: Event) -> None:
    """Prints what a search notes."""
    if event.kind == "note":
        print(f"  {event.message}")


def lines(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def write_task(folder: Path, data: Path, seed: int, rows: int, url: str) -> Path:
    """A task whose unlabelled rows are the training rows that it does not use, without their labels."""
    every = lines(data / "train.jsonl")
    random.Random(seed).shuffle(every)
    labels = sorted({row["label"] for row in every})
    own = [next(row for row in every if row["label"] == label) for label in labels]
    chosen = {row["text"] for row in own}
    own += [row for row in every if row["text"] not in chosen][: max(0, rows - len(own))]
    chosen = {row["text"] for row in own}
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    rest = [{"text": row["text"]} for row in every if row["text"] not in chosen]
    (folder / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rest))
    (folder / "space.yaml").write_text(SPACE)
    model = f"server:m@{url}"
    task = {
        "name": "taught",
        "data": {
            "train": "train.jsonl",
            "validation": str(data / "validation.jsonl"),
            "test": str(data / "test.jsonl"),
            "unlabelled": "more.jsonl",
            "columns": {"input": "text", "output": "label"},
            "labels": labels,
            "train_rows": len(own),
        },
        "metric": "accuracy",
        "models": [model],
        "methods": ["prompt"],
        "remote": {model: {"price": {"input": 1.0, "output": 4.0}, "concurrency": 8}},
        "search_space": "space.yaml",
        "budget": {"trials": 2},
        "economics": {"usd_per_hour": 0.1},
        "evaluation": {"rows": 100, "test_rows": 1000, "load_requests": 0, "onnx": False, "robustness": False,
                       "learning_curve": False, "final_fit": False, "latency_requests": 5},
        "compute": {"on_cpu": True, "executor": "inline"},
        "seed": seed,
    }  # fmt: skip
    file = folder / "task.yaml"
    file.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in task.items()))
    return file


def fitted(
    run: Path, number: int, method: str, model: ModelReference, params: dict[str, Any], labels: list[str]
) -> Any:
    """Statistics of the test rows that a candidate answers, and the seconds that fitting it took."""
    job = Refit(
        trial=number,
        candidate=Candidate(method=method, model=model.name, params=params),
        model=model,
        metric=PluginChoice(name="accuracy"),
        labels=labels,
        prompt=PromptText(template="{{ input }}", instruction=""),
        seed=0,
        rows=1000,
        state_folder=f"trials/{number:04d}/refit-all-0",
    )
    folder = run / f"trials/{number:04d}/refit-all-0"
    folder.mkdir(parents=True)
    write_json(folder / "job.json", job)
    place = Place(devices=Devices(kind="cpu", count=1, accelerator="cpu", threads=1))
    outcome = run_job(folder, place, Workshop())
    if isinstance(outcome.result, Failure) or not isinstance(outcome.result, Measurement):
        raise SystemExit(str(outcome.result))
    return stats_array(outcome.result), outcome.result.train_seconds


def measure(name: str, seed: int, rows: int, accuracy: float) -> None:
    """One search, and what its labels buy for each candidate, as rows of a table."""
    data = SHARED / name
    every = lines(data / "train.jsonl") + lines(data / "validation.jsonl")
    truth = {row["text"]: row["label"] for row in every}
    labels = sorted({row["label"] for row in every})
    with TemporaryDirectory() as temporary, teacher(truth, labels, accuracy) as url:
        folder = Path(temporary)
        _, run = run_search(write_task(folder, data, seed, rows, url), runs=folder / "runs", on_event=say)
        results = read_results(run)
        if results.labels is None or results.verdict is None or results.verdict.bought_labels is None:
            raise SystemExit("nothing was labelled")
        given = [json.loads(line) for line in (run / "teacher/labels.jsonl").read_text().splitlines()]
        right = sum(truth[row["input"]] == row["outputs"][0] for row in given) / len(given)
        own = len((run / "data/train.jsonl").read_text().splitlines())
        print(f"\n{name}, seed {seed}: {own} labelled rows; {len(given)} labels, {right:.1%} of them right,", end=" ")
        print(f"${results.labels.usage.usd:.4f}\n{results.verdict.bought_labels.sentence}\n")
        number = 9000
        for method, model_name, params in CANDIDATES:
            family = "classical" if model_name == "classical" else "causal_lm"
            model = FAMILIES.get(family).find(model_name, Path(), download=False)
            found = {}
            for count in COUNTS:
                found[count], seconds = fitted(run, number, method, model, {**params, "teacher_rows": count}, labels)
                number += 1
                change = paired(Accuracy(), found[count], found[0], (1, 0), seed)
                text = difference_text(change.difference, change.low, change.high) if count else ""
                print(
                    f"| {name} | {seed} | {method} | {count} | {found[count].mean():.3f} | {text} | {seconds:.2f} |",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="*", default=["trec6"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--accuracy", type=float, default=0.9)
    chosen = parser.parse_args()
    for name in chosen.data:
        for seed in chosen.seeds:
            measure(name, seed, chosen.rows, chosen.accuracy)


if __name__ == "__main__":
    main()
