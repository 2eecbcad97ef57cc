"""Task files, search spaces and price books with random mistakes: every command ends as it should, mostly in one message."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import SPACE, labelled_rows
from hypothesis import strategies as st
from mutations import damaged, mutated, yaml_lines
from promise import run_limited, try_cases
from ruamel.yaml import YAML

from autoadapt.domain.task import Task

COLUMNS = {"input": "text", "output": "label"}
SPLIT_FOR_ME = {
    "name": "fruits",
    "data": {
        "path": "data.jsonl",
        "columns": COLUMNS,
        "holdout": 0.2,
        "encoding": "utf-8",
        "labels": ["fruit", "tool", "animal"],
        "merge_labels": {"Fruit": "fruit"},
        "train_rows": 60,
    },
    "metric": "accuracy",
    "objectives": ["quality", "cost_usd_per_1k", "latency_ms"],
    "models": ["scripted", "classical"],
    "methods": ["prompt", "lora", "tfidf"],
    "floor": True,
    "search_space": "space.yaml",
    "budget": {"trials": 6, "hours": 1.5, "device_hours": 2, "usd": 3},
    "economics": {"usd_per_hour": 1, "overhead_factor": 1.1, "queries_per_month": "10k", "horizon_months": 6},
    "constraints": {"quality": 0.5, "latency_p95_ms": 900, "cost_usd_per_1k": 3},
    "recommend": {"give_up_points": 1.0, "least_saving_usd": 0.01},
    "evaluation": {"rows": 36, "test_rows": 30, "latency_requests": 10, "load_requests": 0, "seeds": 2},
    "search": {"sampler": "cost_aware", "rungs": True, "deterministic": False, "least_gain": 0.001},
    "compute": {"executor": "local", "slots": 1, "trial_timeout_s": 60, "memory_mb": 4000, "on_cpu": True},
    "seed": 3,
}
REMOTE = "server:qwen@http://127.0.0.1:9/v1"
GIVEN_SPLITS = {
    "version": 1,
    "name": "given",
    "data": {"train": "train.csv", "validation": "validation.jsonl", "test": "test.jsonl", "columns": COLUMNS},
    "metric": {"accuracy": {}},
    "models": ["scripted", REMOTE],
    "remote": {REMOTE: {"usd_per_hour": 1.99, "concurrency": 2, "timeout_s": 5, "retries": 1, "extra": {"top_k": 1}}},
    "methods": ["prompt", "full"],
    "budget": {"trials": 3},
    "economics": {
        "owned": {"kilowatts": 0.5, "usd_per_kwh": 0.3, "capex_usd": 9000, "utilisation": 0.5},
        "price_book": "prices.yaml",
        "hosting": "always_on",
    },
    "compute": {"executor": {"local": {}}, "on_cpu": True},
}
PRICES = {
    "version": 1,
    "devices": [
        {
            "device": "h100",
            "provider": "own",
            "tier": "a",
            "region": "x",
            "usd_per_hour": 2.5,
            "date": "2026-11-09",
            "source": "s",
        }
    ],
    "tokens": [{"model": "qwen", "provider": "own", "input": 0.1, "output": 0.4, "date": "2026-11-09", "source": "s"}],
}
DOCUMENTS: dict[str, Any] = {
    "task.yaml": SPLIT_FOR_ME,
    "given.yaml": GIVEN_SPLITS,
    "space.yaml": YAML(typ="safe").load(SPACE),
    "prices.yaml": PRICES,
}
KEYS = sorted({key for part in Task.model_json_schema()["$defs"].values() for key in part.get("properties", {})})


@dataclass(frozen=True)
class Case:
    """A command on files of which one is replaced."""

    file: str
    content: bytes
    show: bool = False


def cases() -> st.SearchStrategy[Case]:
    """Files with mistakes in what they say or in their bytes."""

    def of(name: str) -> st.SearchStrategy[Case]:
        text = yaml_lines(DOCUMENTS[name]).encode()
        said = mutated(DOCUMENTS[name], KEYS).map(lambda document: yaml_lines(document).encode())
        return st.builds(Case, st.just(name), said | said | said | damaged(text), st.booleans())

    return st.sampled_from(["task.yaml", "task.yaml", *DOCUMENTS]).flatmap(of)


def rows_text(first: int, last: int) -> str:
    """Lines of JSON."""
    return "".join(json.dumps(row) + "\n" for row in labelled_rows(last)[first:])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all documents as they should be, and their data."""
    folder = tmp_path_factory.mktemp("whole")
    for name, document in DOCUMENTS.items():
        (folder / name).write_text(yaml_lines(document))
    (folder / "data.jsonl").write_text(rows_text(0, 180))
    (folder / "validation.jsonl").write_text(rows_text(180, 216))
    (folder / "test.jsonl").write_text(rows_text(216, 252))
    (folder / "train.csv").write_text(
        "text,label\n" + "".join(f"{r['text']},{r['label']}\n" for r in labelled_rows(90))
    )
    return folder


def hold(whole: Path, case: Case) -> None:
    """Checks the task of which the file is a part; prices are listed too."""
    with tempfile.TemporaryDirectory(prefix="case") as made:
        folder = Path(shutil.copytree(whole, Path(made) / "folder"))
        (folder / case.file).write_bytes(case.content)
        task = "task.yaml" if case.file in ("task.yaml", "space.yaml") else "given.yaml"
        run_limited(folder, "check", task, *(["--show"] if case.show else []))
        if case.file == "prices.yaml":
            run_limited(folder, "prices", "--book", "prices.yaml")


def test_prices_that_mistakes_are_made_of_are_right(whole: Path) -> None:
    assert run_limited(whole, "prices", "h100", "--book", "prices.yaml").returncode == 0


@pytest.mark.parametrize("name", ["task.yaml", "given.yaml"])
def test_tasks_that_mistakes_are_made_of_are_right(whole: Path, name: str) -> None:
    assert run_limited(whole, "check", name).stdout.startswith("ok: ")


@pytest.mark.parametrize("count", [80, pytest.param(2000, marks=pytest.mark.slow)])
def test_files_of_a_task(whole: Path, count: int) -> None:
    try_cases(count, cases(), lambda case: hold(whole, case))
