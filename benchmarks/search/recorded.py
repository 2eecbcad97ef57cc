"""Recorded tables of real trials as problems: every candidate of a grid was trained and answered once (`record.py`).

A search sees each candidate on 150 of the 400 recorded validation rows, 50 of them at a part of the training; the other
250 rows are the truth. Which rows are which follows from the instance, so the noise of validation differs by run.
Times and latencies are those recorded.
"""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fidelity
from autoadapt.domain.outcome import Measurement, RowResult
from autoadapt.domain.task import Economics
from autoadapt.domain.usage import Usage
from autoadapt.executors.replay import VIRTUAL_DEVICE, Simulated
from autoadapt.surrogates.features import Features

TABLES = Path(__file__).parent / "tables"
PART_ROWS, VIEW_PART, VIEW = 133, 50, 150
"""Rows recorded at a part of the training; rows of a search's view there, and in full."""


class Table:
    """A recorded table.

    Args:
        name: of the file in `tables/`.
        instance: which rows a search sees.
    """

    rows = VIEW

    def __init__(self, name: str, instance: int) -> None:
        from autoadapt.tasks.space import load_space
        from autoadapt.tasks.yaml_document import Document

        task = Document(TABLES / f"{name}.yaml").values
        self.name, self.instance = name, instance
        self.space, self.models = load_space(task["search_space"], TABLES), tuple(task["models"])
        self.economics = Economics(**task["economics"])
        self._records: dict[str, dict[float, dict[str, Any]]] = {}
        self._candidates: list[Candidate] = []
        for line in gzip.decompress((TABLES / f"{name}.json.gz").read_bytes()).decode().splitlines():
            record = json.loads(line)
            candidate = Candidate(method=record["method"], model=record["model"], params=record["params"])
            own = self._records.setdefault(candidate.key(), {})
            if not own:
                self._candidates.append(candidate)
            if "failure" not in record:
                text = f"{int(record['right'], 16):0{record['rows']}b}"
                record["scores"] = np.frombuffer(text.encode(), np.uint8) - ord("0")
                own[round(record["steps"], 3)] = record
        full = [r for own in self._records.values() for s, r in own.items() if s == 1.0]
        self._loading = float(np.median([r["loading_seconds"] for r in full if r["loading_seconds"] is not None]))
        self._answering = self._settled()
        random = np.random.default_rng(instance)
        early, late = random.permutation(PART_ROWS), PART_ROWS + random.permutation(len(full[0]["scores"]) - PART_ROWS)
        self._order = np.r_[early[:VIEW_PART], late[: VIEW - VIEW_PART]]
        self._truth = np.r_[early[VIEW_PART:], late[VIEW - VIEW_PART :]]

    def _settled(self) -> dict[str, tuple[float, float]]:
        """Seconds a row and milliseconds a request by prompt: medians over all that ask with it.

        A trained model is as large as its base, LoRA merged, so what it answers with depends on the prompt alone.
        """
        groups: dict[str, list[dict[str, Any]]] = {}
        for candidate in self._candidates:
            if 1.0 in self._records[candidate.key()]:
                groups.setdefault(_prompt(candidate), []).append(self._records[candidate.key()][1.0])
        return {
            prompt: (
                float(np.median([r["inference_seconds"] / r["rows"] for r in own])),
                float(np.median([np.median(r["latency_ms"]) for r in own])),
            )
            for prompt, own in groups.items()
        }

    def sample(self, features: Features) -> list[Candidate]:
        return self._candidates

    def _record(self, candidate: Candidate, steps: float) -> dict[str, Any]:
        own = self._records[candidate.key()]
        if not own:
            raise ValueError("this trial failed when it was recorded")
        return own[min(own, key=lambda s: abs(s - steps))]

    def answers(self, candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        record = self._record(candidate, fidelity.steps if candidate.method != "prompt" else 1.0)
        scores = record["scores"][self._order[: fidelity.rows]]
        inference = record["inference_seconds"] * fidelity.rows / record["rows"]
        latencies = record["latency_ms"][: max(1, fidelity.latency_requests)]
        measurement = Measurement.model_construct(
            rows=[RowResult.model_construct(id=i, stats=[float(s)], tokens_in=0, tokens_out=0) for i, s in enumerate(scores)],
            training=Usage(device_seconds={VIRTUAL_DEVICE: record["train_seconds"]}),
            answering=Usage(device_seconds={VIRTUAL_DEVICE: inference}),
            train_seconds=record["train_seconds"], inference_seconds=inference, latency_ms=latencies,
            peak_memory_bytes=0, parameters_total=0,
        )  # fmt: skip
        return Simulated(measurement, record["train_seconds"] + inference + sum(latencies) / 1000, self._loading)

    def truth(self, candidate: Candidate) -> tuple[float, float, float]:
        record = self._record(candidate, 1.0)
        hour, queries = float(self.economics.hour_usd), float(self.economics.queries_per_month) * 12
        seconds, latency = self._answering[_prompt(candidate)]
        cost = seconds * 1000 + record["train_seconds"] * 1000 / queries
        return float(record["scores"][self._truth].mean()), cost * hour / 3600, latency


def _prompt(candidate: Candidate) -> str:
    """The prompt that a candidate asks with; trained ones have no shots, and score labels by their sum."""
    p = candidate.params
    return json.dumps(
        [p["template"], p["instruction"], p.get("shots", 0), p.get("selector"), p.get("label_score", "sum")]
    )
