"""DeepSpeed trains as the plain loop does, in processes of its own: it leaves a process group behind."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import environment
from job_runs import DEVICES, JobRun, causal_lm, encoder

from autoadapt.domain.jobs import Devices, TrainingSettings
from autoadapt.domain.outcome import Measurement, Outcome
from autoadapt.worker.place import Place

PROGRAM = """
import sys
from pathlib import Path
from autoadapt.worker.place import Place
from autoadapt.worker.run import run_job
from autoadapt.worker.workshop import Workshop
place, workshop = Place.model_validate_json(sys.argv[1]), Workshop()
place.settle()
for folder in sys.argv[2:]:
    run_job(Path(folder), place, workshop)
print("retire" if workshop.should_retire else "stay")
"""


def start(place: Place, folders: list[Path]) -> subprocess.Popen[str]:
    """A process that runs jobs one after the other as one rank."""
    command = [sys.executable, "-c", PROGRAM, place.model_dump_json(), *map(str, folders)]
    without_compiler = environment(PATH="/nowhere")
    return subprocess.Popen(command, env=without_compiler, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def measured(folder: Path) -> Measurement:
    """The measurement that a job has left."""
    result = Outcome.model_validate_json((folder / "outcome.json").read_bytes()).result
    assert isinstance(result, Measurement), result
    return result


def check_equal(deepspeed: Measurement, plain: Measurement) -> None:
    """Losses and answers of two trainings are alike."""
    assert deepspeed.train_loss == pytest.approx(plain.train_loss, abs=2e-4)
    assert [row.stats for row in deepspeed.rows] == [row.stats for row in plain.rows]


@pytest.mark.parametrize("method", ["ia3", pytest.param("full", marks=pytest.mark.slow)])
def test_every_stage_trains_as_the_plain_loop_does(
    tmp_path: Path, tiny_model: Path, tiny_encoder: Path, method: str
) -> None:
    jobs = JobRun(tmp_path / "run", causal_lm(tiny_model))
    plain = jobs.measure(jobs.fit(method))
    stages = (0, 2, 3)
    folders = [
        jobs.folder(
            jobs.fit(
                method,
                trial=1 + stage,
                training=TrainingSettings(engine="deepspeed", zero_stage=stage, precision="fp32"),
            )
        )
        for stage in stages
    ]
    encoders = JobRun(tmp_path / "encoders", encoder(tiny_encoder))
    zero = TrainingSettings(engine="deepspeed", zero_stage=2, precision="fp32")
    of_encoder = encoders.fit(method, trial=1, training=zero)
    process = start(Place(devices=DEVICES), [encoders.folder(of_encoder), *folders])
    output, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors
    for folder in folders:
        check_equal(measured(folder), plain)
    check_equal(measured(encoders.folder(of_encoder)), encoders.measure(encoders.fit(method)))
    encoders.measure(encoders.score(of_encoder))
    assert output.splitlines()[-1] == "retire", "ZeRO-3 leaves models behind"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "contrastive"])
def test_two_ranks_train_as_one_and_leave_one_artifact(
    tmp_path: Path, tiny_model: Path, tiny_encoder: Path, method: str
) -> None:
    jobs = JobRun(tmp_path / "run", encoder(tiny_encoder) if method == "contrastive" else causal_lm(tiny_model))
    plain = jobs.measure(jobs.fit(method))
    job = jobs.fit(method, trial=1, training=TrainingSettings(engine="deepspeed", zero_stage=3, precision="fp32"))
    folder, devices = jobs.folder(job), Devices(kind="a CPU", count=2, accelerator="cpu", threads=1)
    places = [
        Place(devices=devices, rank=rank, world=2, meeting_file=str(tmp_path / "meeting"), cores=None)
        for rank in (0, 1)
    ]
    processes = [start(place, [folder]) for place in places]
    for process in processes:
        _, errors = process.communicate(timeout=280)
        assert process.returncode == 0, errors
    check_equal(measured(folder), plain)
    assert measured(folder).training.device_seconds["a CPU"] == pytest.approx(2 * measured(folder).train_seconds)
    follower = Outcome.model_validate_json((folder / "outcome-1.json").read_bytes()).result
    assert isinstance(follower, Measurement)
    assert follower.rows == []
    jobs.measure(jobs.score(job))
