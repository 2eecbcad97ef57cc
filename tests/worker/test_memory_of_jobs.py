"""Peak memory of a job does not depend on what its worker did before."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PLUGINS
from job_bench import Bench, fit_job, measurement
from job_runs import causal_lm

from autoadapt.domain.jobs import Fidelity
from autoadapt.domain.model import ModelReference
from autoadapt.executors.local import Local
from autoadapt.worker.meters import Meters

TESTS = Path(__file__).parent.parent
AGREES = 0.05
"""Greatest difference of one option's memory between two measurements."""
WEIGHTS = 37e6
"""Of the large model, about; four bytes each."""


@pytest.fixture(scope="module")
def large_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a Llama with the tiny model's tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("models") / "large"
    shutil.copytree(tiny_model, folder)
    config = LlamaConfig.from_pretrained(tiny_model, hidden_size=512, intermediate_size=4096, num_hidden_layers=6)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["MemoryBench"]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PLUGINS), str(TESTS), os.environ.get("PYTHONPATH", "")]))
    opened = MemoryBench(tmp_path)
    yield opened
    opened.close()


class MemoryBench:
    """Workers of the local executor, which measure what jobs need."""

    def __init__(self, root: Path) -> None:
        self.root, self.benches, self.count = root, list[Bench](), 0

    def fresh_worker(self) -> None:
        """Jobs run in a new worker from now on."""
        self.close()
        self.benches.append(Bench(self.root / f"run{self.count}", Local(), ("torch", "transformers", "peft")))

    def close(self) -> None:
        """Ends the worker."""
        while self.benches:
            self.benches.pop().supervisor.close()

    def megabytes(self, model: ModelReference, method: str = "prompt") -> float:
        """Peak memory of a small job on a model."""
        self.count += 1
        job = fit_job(
            self.count,
            {"template": "plain"},
            method=method,
            model=model,
            fidelity=Fidelity(rows=4, steps=1.0, latency_requests=1),
        )
        return measurement(self.benches[-1].run(job)[-1]).peak_memory_bytes / 1e6


def test_memory_of_an_option_is_the_same_first_and_after_training_and_a_large_model(
    bench: MemoryBench, tiny_model: Path, large_model: Path
) -> None:
    """The second measurement of the tiny model was three times the first: 1,054 MB and 355 MB."""
    tiny, large = causal_lm(tiny_model), causal_lm(large_model)
    bench.fresh_worker()
    first = bench.megabytes(tiny)
    bench.megabytes(tiny, "full")
    after_training = bench.megabytes(large)
    again = bench.megabytes(tiny)
    assert again == pytest.approx(first, rel=AGREES)
    assert bench.megabytes(tiny) == pytest.approx(first, rel=AGREES), "its own model was loaded already"
    bench.fresh_worker()
    assert bench.megabytes(large) == pytest.approx(after_training, rel=AGREES)
    assert after_training - first > 0.9 * 4 * WEIGHTS / 1e6


@pytest.mark.parametrize(
    ("peak", "now", "kept", "needed"),
    [
        (355, 338, 0, 317),  # libraries that the job imported are not the job's
        (1054, 478, 0, 876),
        (1005, 1000, 500, 805),  # its model stays loaded, and it needs it
        (310, 250, 0, 310),  # less than at the start: nothing was left behind
        (400, 450, 0, 300),
    ],
)
def test_what_a_job_leaves_behind_is_not_its_own(peak: int, now: int, kept: int, needed: int) -> None:
    meters = Meters({}, at_start=300)
    meters._memory = lambda: now
    assert meters.peak_of_fresh_process(peak, kept) == needed


def test_a_gpu_holds_nothing_at_the_start() -> None:
    meters = Meters({"memory": lambda: 30, "peak_memory": lambda: 100}, at_start=300)
    assert meters.peak_of_fresh_process(meters.peak_memory(), kept=20) == 90
