"""How often BM25 finds the answer, by length and number of passages; and what a model makes of passages.

    python benchmarks/retrieval/run.py                                   recall alone, which takes seconds
    python benchmarks/retrieval/run.py --model smollm2 --passages 0 2    a model too, 60 questions a line

The eight documents and sixty questions beside this file are made up; no model has read them, and twelve questions are not
answered by them. Every line of a model is a real job of a worker, as a search would run it.
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from scipy.stats import binomtest

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.documents import Document, DocumentsSettings, Retrieval
from autoadapt.domain.jobs import Devices, Fidelity, Fit, PromptText, TrainingSettings
from autoadapt.domain.metric import answered_rows
from autoadapt.domain.outcome import Measurement
from autoadapt.domain.rows import Row
from autoadapt.files import write_json, write_rows
from autoadapt.models.causal_lm import CausalLm
from autoadapt.passage_search import PassageSearch, cut_all, write_documents
from autoadapt.shelves import METRICS
from autoadapt.tasks.documents import PLACE, TOLD, read_folder
from autoadapt.tasks.space import load_space
from autoadapt.worker.place import Place
from autoadapt.worker.run import run_job
from autoadapt.worker.workshop import Workshop

HERE = Path(__file__).parent
SETTINGS = DocumentsSettings(folder="documents")
DEVICES = Devices(kind="CPU", count=1, accelerator="cpu", threads=1)


def questions() -> list[Row]:
    """The questions with their accepted answers, those without an answer spread among the others."""
    lines = [line.split("\t") for line in (HERE / "questions.tsv").read_text(encoding="utf-8").splitlines()]
    rows = [Row(id=i, input=asked, outputs=outputs.split("|")) for i, (asked, outputs) in enumerate(lines)]
    return sorted(rows, key=lambda row: row.id * 37 % len(rows))


def recall_table(documents: list[Document], rows: list[Row]) -> None:
    """Prints recall by length and number of passages."""
    print("| words of a passage | passages in all | " + " | ".join(f"recall of {k}" for k in (1, 2, 4, 8)) + " |")
    print("|---|---|---|---|---|---|")
    for words in (30, 60, 120, 240):
        pieces = cut_all(documents, words)
        found = []
        for k in (1, 2, 4, 8):
            search = PassageSearch(Retrieval(passages=k, chunk_words=words, position="before"), pieces)
            found.append(f"{search.recall(rows, SETTINGS.no_answer):.2f}")
        print(f"| {words} | {len(pieces)} | {' | '.join(found)} |")


def measured(root: Path, job: Fit) -> Measurement:
    """What a job measures."""
    folder = root / job.state_folder / "fit"
    folder.mkdir(parents=True)
    write_json(folder / "job.json", job)
    result = run_job(folder, Place(devices=DEVICES), Workshop()).result
    if not isinstance(result, Measurement):
        raise SystemExit(f"{job.candidate.params}: {result}")
    return result


def share(right: int, count: int) -> str:
    """A share with its 95 % Wilson interval."""
    low, high = binomtest(right, count).proportion_ci(method="wilson")
    return f"{right / count:.2f} ({low:.2f}-{high:.2f})"


def line_of(name: str, root: Path, job: Fit, rows: list[Row]) -> str:
    """A row of a table."""
    measurement = measured(root, job)
    lines = (root / job.state_folder / "predictions-validation.jsonl").read_text(encoding="utf-8").splitlines()
    answers = [str(json.loads(line)["answer"]) for line in lines]
    f1 = METRICS.new("token_f1", {})
    overlap = float(f1.value(_array(f1.score(answered_rows(rows, answers, None)).stats)))
    answerable = [SETTINGS.no_answer not in row.outputs for row in rows]
    right = [round(row.stats[0]) for row in measurement.rows]
    by_kind = [share(sum(r for r, a in zip(right, answerable, strict=True) if a == kind), answerable.count(kind))
               for kind in (True, False)]  # fmt: skip
    recall = "-" if measurement.retrieval_recall is None else f"{measurement.retrieval_recall:.2f}"
    read, seconds = mean(row.tokens_in for row in measurement.rows), measurement.inference_seconds / len(rows)
    return f"| {name} | {recall} | {' | '.join(by_kind)} | {overlap:.2f} | {read:.0f} | {seconds:.2f} |"


def _array(stats: list[list[float]]) -> Any:
    import numpy as np

    return np.array(stats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--passages", type=int, nargs="+", default=[0, 2, 4])
    parser.add_argument("--words", type=int, default=60, help="of a passage")
    options = parser.parse_args()
    documents, rows = read_folder(SETTINGS, HERE), questions()
    recall_table(documents, rows)
    if options.model is None:
        return
    rows, space = rows[: options.rows], load_space("joint", Path())
    model = CausalLm().find(options.model, Path(), download=True)
    instruction = TOLD.replace(PLACE, SETTINGS.no_answer)
    print(f"\n{options.model}, {len(rows)} questions, passages of {options.words} words\n")
    print("| passages | recall | exact match, answerable | not answerable | token F1, all | tokens read | s a row |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "data").mkdir()
        write_rows(root / "data/validation.jsonl", rows)
        write_documents(root / "data/documents.jsonl", documents)
        for number, count in enumerate(options.passages):
            params = {"template": "plain", "instruction": "documents", "passages": count, "chunk_words": options.words}
            job = Fit(
                trial=number,
                candidate=Candidate(method="prompt", model=model.name, params=params),
                model=model,
                metric=PluginChoice(name="exact_match"),
                labels=None,
                no_answer=SETTINGS.no_answer,
                prompt=PromptText(template=space.templates["plain"], instruction=instruction),
                max_new_tokens=12,
                seed=0,
                training=TrainingSettings(),
                state_folder=f"trials/{number:04d}",
                rung=0,
                fidelity=Fidelity(rows=len(rows), steps=1.0, latency_requests=0),
            )
            print(line_of(str(count), root, job, rows), flush=True)


if __name__ == "__main__":
    main()
