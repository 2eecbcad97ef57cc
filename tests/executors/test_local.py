"""The local executor: its fork server, its processes when others are killed, and groups that train together."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from conftest import PLUGINS
from job_bench import Bench, failure, fit_job, measurement, processes

from autoadapt.domain.executor import Finished
from autoadapt.domain.jobs import Devices, Fit, TrainingSettings
from autoadapt.domain.model import ModelReference
from autoadapt.domain.task import Compute
from autoadapt.errors import UserError
from autoadapt.executors import local
from autoadapt.executors.local import Local
from autoadapt.worker import fork_server as fork_server_process
from autoadapt.worker.fork_server import PACKET_BYTES, REPORT, WorkerEnded
from autoadapt.worker.place import Place

TESTS = Path(__file__).parent.parent
MakeBench = Callable[..., Bench]


@pytest.fixture
def make_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeBench]:
    paths = [str(PLUGINS), str(TESTS), str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths).rstrip(os.pathsep))
    made: list[Bench] = []

    def make(preload: tuple[str, ...] = (), **compute: object) -> Bench:
        made.append(Bench(tmp_path / f"run{len(made)}", Local(), preload, **compute))
        return made[-1]

    yield make
    for bench in made:
        bench.supervisor.close()
    assert not processes()


def fork_server(bench: Bench) -> psutil.Process:
    assert isinstance(bench.executor, Local)
    return psutil.Process(bench.executor._server.pid)


def workers(bench: Bench) -> list[psutil.Process]:
    return sorted(fork_server(bench).children(), key=lambda p: p.pid)


def gone_within(seconds: float, *pids: int) -> bool:
    """Whether all of these processes end in time; one that nobody has waited for has ended too."""
    deadline = time.monotonic() + seconds
    while any(_is_running(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for_heartbeat(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not (folder / "heartbeat").exists():
        assert time.monotonic() < deadline, "the job did not begin"
        time.sleep(0.02)


def test_worker_stays_from_job_to_job_and_survives_failures_that_raise(make_bench: MakeBench) -> None:
    bench = make_bench()
    first = bench.run(bench.fault("none"))[0]
    before = workers(bench)
    assert failure(bench.run(bench.fault("nan"))[0]).failure_class == "nan"
    second = bench.run(bench.fault("none"))[0]
    assert (first.outcome.cold, second.outcome.cold) == (True, False)
    assert workers(bench) == before


def test_out_of_memory_retires_the_worker(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.run(bench.fault("none"))
    before = workers(bench)
    bench.run(bench.fault("oom_once"))
    assert workers(bench) != before


def test_worker_killed_while_idle_is_replaced_and_no_attempt_fails(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.run(bench.fault("none"))
    (idle,) = workers(bench)
    idle.kill()
    assert gone_within(10, idle.pid)
    (finished,) = bench.run(bench.fault("none"))
    assert measurement(finished)
    assert finished.outcome.cold


@pytest.mark.parametrize(("fault", "attempts"), [("killed_before_rename", 2), ("killed_after_rename", 1)])
def test_outcome_of_a_worker_killed_at_its_rename_is_whole_or_absent(
    make_bench: MakeBench, fault: str, attempts: int
) -> None:
    bench = make_bench()
    ran = bench.run(bench.fault(fault))
    assert len(ran) == attempts
    assert measurement(ran[-1])
    assert all(failure(attempt).failure_class == "crash" for attempt in ran[:-1])


def test_killed_workers_leave_no_zombie(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.run(bench.fault("killed"))
    (fork_server,) = psutil.Process().children(recursive=True)
    assert fork_server.status() != psutil.STATUS_ZOMBIE


def test_worker_ended_by_a_signal_without_a_name(make_bench: MakeBench) -> None:
    bench = make_bench()
    folder = bench.submit(bench.fault("hang"))
    wait_for_heartbeat(folder)
    workers(bench)[0].send_signal(40)
    assert failure(bench.next()).reason == "the worker ended by signal 40"


@pytest.mark.parametrize(("limit", "fits"), [(400, False), (None, True)])
def test_memory_of_a_worker_is_limited(make_bench: MakeBench, limit: int | None, fits: bool) -> None:
    bench = make_bench(memory_mb=limit)
    last = bench.run(bench.fault("greedy"))[-1]
    if fits:
        assert measurement(last)
    else:
        assert failure(last).failure_class == "oom"
        assert "compute.memory_mb = 400 limits a worker" in failure(last).reason
    assert measurement(bench.run(bench.fault("none"))[-1])


def test_failure_of_a_worker_that_ended_has_the_last_line_that_it_printed(make_bench: MakeBench) -> None:
    bench = make_bench()
    (first, _) = bench.run(bench.fault("exit"))
    said = "the last line that it printed: a library said  [31mwhy"
    assert failure(first).reason == f"the worker ended by exit code 3; {said}"


def test_nothing_is_imported_from_the_current_folder(
    make_bench: MakeBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "current folder"
    folder.mkdir()
    for name in ("random", "typing", "torch", "usercustomize", "faulty_method"):
        (folder / f"{name}.py").write_text("raise RuntimeError('the current folder was imported')\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", f"{os.environ['PYTHONPATH']}{os.pathsep}")  # the empty entry stands for it
    bench = make_bench(("random", "torch"))
    assert measurement(bench.run(bench.fault("none"))[0])
    assert "current folder was imported" not in (bench.root / "workers" / "fork-server.txt").read_text()


@pytest.mark.parametrize("jobs", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_open_files_and_processes_stay_flat_over_many_jobs(make_bench: MakeBench, jobs: int) -> None:
    bench = make_bench(slots=2)
    driver, counts = psutil.Process(), set()
    for i in range(jobs):
        bench.run(bench.fault("killed_once" if i % 6 == 5 else "none"))
        if i % 6 == 4 and i > 6:
            counts.add((driver.num_fds(), fork_server(bench).num_fds(), len(processes())))
    assert len(counts) == 1
    assert all(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in processes())


def test_opening_does_not_wait_for_imports_and_a_job_killed_meanwhile_never_begins(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    (tmp_path / "slow_import.py").write_text("import time\ntime.sleep(3)\n")
    started = time.monotonic()
    bench = make_bench(("slow_import",))
    folder = bench.submit(bench.fault("none"))
    bench.supervisor.kill_running("the run was stopped")
    assert failure(bench.next(timeout=0)).failure_class == "interrupted"
    assert time.monotonic() - started < 1
    assert measurement(bench.run(bench.fault("none"))[0])
    assert not (folder / "log.txt").exists()
    assert len(workers(bench)) == 1


def test_worker_that_cannot_be_forked_is_reported_and_no_other_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_process() -> int:
        raise BlockingIOError("too many processes")

    driver, other_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with driver, other_end:
        server = fork_server_process._ForkServer(other_end)
        monkeypatch.setattr(os, "fork", no_process)
        place = Place(devices=Devices(kind="CPU", count=1, accelerator="cpu"))
        server._fork(None, 7, place, [])  # type: ignore[arg-type]
        assert REPORT.validate_json(driver.recv(PACKET_BYTES)) == WorkerEnded(worker=7, exit_code=os.EX_OSERR)
        os.close(server._wake_reader)
        os.close(server._wake_writer)


def test_what_imports_print_is_in_no_log_of_a_job(
    make_bench: MakeBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    (tmp_path / "talkative.py").write_text("print('a greeting')\n")
    bench = make_bench(("talkative",))
    (finished,) = bench.run(bench.fault("none"))
    assert "a greeting" not in (finished.folder / "log.txt").read_text()
    assert "a greeting" in (bench.root / "workers" / "fork-server.txt").read_text()


@pytest.mark.usefixtures("make_bench")
def test_run_folder_with_spaces_and_line_breaks(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "a run\nof figô", Local())
    try:
        assert measurement(bench.run(bench.fault("none"))[0])
    finally:
        bench.supervisor.close()


def test_outcome_that_cannot_be_written_is_a_full_disk(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.submit(bench.fault("disk_at_end"))
    finished = bench.supervisor.next_finished(timeout=60)
    assert finished is not None
    assert failure(finished).failure_class == "disk"
    assert not finished.retried
    assert finished.outcome.seconds > 0


def test_meeting_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    (tmp_path / "workers").mkdir()
    stale = tmp_path / "workers" / f"meeting-{os.getpid()}-0-1"
    stale.write_text("ranks that have ended")
    executor = Local()
    executor.open(tmp_path, Compute(on_cpu=True))
    executor.close()
    assert not stale.exists()


def test_module_that_cannot_be_preloaded_is_reported_and_no_obstacle(make_bench: MakeBench) -> None:
    bench = make_bench(("no_such_module",))
    assert measurement(bench.run(bench.fault("none"))[0])
    assert "no_such_module" in (bench.root / "workers" / "fork-server.txt").read_text()


def test_worker_without_preloaded_modules_starts_at_once_and_has_no_torch(make_bench: MakeBench) -> None:
    bench = make_bench()
    started = time.monotonic()
    folder = bench.submit(bench.fault("slow"))
    wait_for_heartbeat(folder)
    assert time.monotonic() - started < 3
    for process in (fork_server(bench), *workers(bench)):
        assert not [m.path for m in process.memory_maps() if "torch" in m.path]


def test_killed_fork_server_loses_its_workers_and_is_replaced(make_bench: MakeBench) -> None:
    bench = make_bench(slots=2)
    folders = [bench.submit(bench.fault("hang")) for _ in range(2)]
    for folder in folders:
        wait_for_heartbeat(folder)
    lost = processes()
    fork_server(bench).kill()
    attempts = [bench.next(), bench.next()]
    assert {failure(a).failure_class for a in attempts} == {"crash"}
    assert "fork server" in failure(attempts[0]).reason
    assert all(a.retried for a in attempts)
    assert gone_within(10, *lost)
    assert fork_server(bench).is_running()
    bench.supervisor.kill_running("enough")
    bench.next(), bench.next()
    assert measurement(bench.run(bench.fault("none"))[0])


CHILDREN = ["child", "detached"]
"""Faults that start a process: in the worker's process group, or in a session of its own."""


def child_of(folder: Path) -> int:
    """The process that a job's worker has started."""
    file, deadline = folder.parent / "child", time.monotonic() + 60
    while not file.exists() or not file.read_text():
        assert time.monotonic() < deadline, "the job did not begin"
        time.sleep(0.02)
    return int(file.read_text())


@pytest.mark.parametrize("fault", CHILDREN)
def test_job_that_is_killed_leaves_no_child(make_bench: MakeBench, fault: str) -> None:
    bench = make_bench(hang_timeout_s=3)
    child = child_of(bench.submit(bench.fault(fault)))
    assert failure(bench.next()).failure_class == "timeout"
    assert not _is_running(child)
    assert processes() == {fork_server(bench).pid}


@pytest.mark.parametrize("fault", CHILDREN)
def test_killed_fork_server_leaves_no_child_of_a_worker(make_bench: MakeBench, fault: str) -> None:
    bench = make_bench()
    child = child_of(bench.submit(bench.fault(fault)))
    fork_server(bench).kill()
    assert bench.next().retried
    assert gone_within(10, child)


@pytest.mark.parametrize("fault", CHILDREN)
@pytest.mark.usefixtures("make_bench")
def test_killed_driver_leaves_no_child_of_a_worker(tmp_path: Path, fault: str) -> None:
    program = DRIVER.replace('"hang"', f'"{fault}"')
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "run")], stdout=subprocess.PIPE) as driver:
        assert driver.stdout is not None
        pids = [int(word) for word in driver.stdout.readline().split()]
        children = [child_of(tmp_path / "run" / "trials" / f"000{i}" / "rung0") for i in (1, 2)]
        driver.kill()
        assert gone_within(10, *pids, *children)


DRIVER = """
import sys, time
from pathlib import Path
from job_bench import Bench, processes
from autoadapt.executors.local import Local

bench = Bench(Path(sys.argv[1]), Local(), sys.argv[2:], slots=2)
folders = [bench.submit(bench.fault("hang")) for _ in range(2)]
while not sys.argv[2:] and not all((f / "heartbeat").exists() for f in folders):
    bench.supervisor.next_finished(timeout=0.05)
print(*sorted(processes()), flush=True)
assert "torch" not in sys.modules
bench.supervisor.next_finished(timeout=600)
"""


@pytest.mark.parametrize("preload", [(), ("slow_import",)], ids=["workers_at_work", "fork_server_importing"])
@pytest.mark.usefixtures("make_bench")
def test_killed_driver_leaves_no_process(preload: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "slow_import.py").write_text("import time\ntime.sleep(60)\n")
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "run"), *preload]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        pids = [int(word) for word in driver.stdout.readline().split()]
        assert len(pids) == (1 if preload else 3)
        driver.kill()
        assert gone_within(10, *pids)


def test_slots_divide_the_gpus_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "gpu_names", lambda: ["NVIDIA H200"] * 5)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    executor = Local()
    executor.open(tmp_path, Compute(devices_per_trial=2))
    executor.close()
    assert (executor.slots, executor.devices.count, executor.devices.accelerator) == (2, 2, "cuda")
    assert executor._place(1, 0, tmp_path / "meeting").gpus == [2, 3]
    with pytest.raises(UserError, match=r"compute\.slots is 3"):
        Local().open(tmp_path, Compute(devices_per_trial=2, slots=3))
    with pytest.raises(UserError, match=r"compute\.devices_per_trial is 6"):
        Local().open(tmp_path, Compute(devices_per_trial=6))


def test_worker_sees_the_devices_of_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "DS_ACCELERATOR", "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, "as before")
    Place(devices=Devices(kind="GPU", count=2, accelerator="cuda", threads=3), gpus=[2, 3]).settle()
    assert (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["OMP_NUM_THREADS"]) == ("2,3", "3")
    assert os.environ["DS_ACCELERATOR"] == "as before"
    Place(devices=Devices(kind="CPU", count=1, accelerator="cpu")).settle()
    assert (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["DS_ACCELERATOR"]) == ("", "cpu")


# -- jobs that are asked to stop


SLOW_TRAINING = ModelReference(name="scripted:step_seconds=0.05", family="scripted", location="")


def slow_training(bench: Bench) -> tuple[Fit, Path]:
    """A job that trains for some seconds, which has begun."""
    params = TRAINING | {"num_train_epochs": 10}
    job = bench.fault("none", method="full", model=SLOW_TRAINING).model_copy(
        update={"candidate": fit_job(0, params, method="full").candidate}
    )
    folder = bench.submit(job)
    wait_for_heartbeat(folder)
    beat = (folder / "heartbeat").stat().st_mtime_ns
    while (folder / "heartbeat").stat().st_mtime_ns == beat:
        time.sleep(0.02)
    return job, folder


def test_training_that_is_stopped_is_saved_and_goes_on(make_bench: MakeBench) -> None:
    bench = make_bench()
    job, folder = slow_training(bench)
    bench.supervisor.stop_running("the run was stopped", seconds=60)
    assert failure(bench.next(timeout=0)).failure_class == "interrupted"
    (saved,) = folder.parent.glob("checkpoint-*")
    bench.submit(job.model_copy(update={"attempt": 1}))
    finished = bench.next()
    assert measurement(finished).train_steps == 60
    assert f"trained steps {int(saved.name.split('-')[1])} to 60" in (finished.folder / "log.txt").read_text()


def test_worker_that_the_system_asks_to_stop_goes_on_elsewhere(make_bench: MakeBench) -> None:
    bench = make_bench()
    slow_training(bench)
    for process in (fork_server(bench), *workers(bench)):  # as when a whole service is ended
        process.send_signal(signal.SIGTERM)
    first, second = bench.next(), bench.next()
    assert (failure(first).failure_class, first.retried) == ("interrupted", True)
    assert measurement(second).train_steps == 60
    assert "trained steps 0" not in (second.folder / "log.txt").read_text()


def test_job_that_trains_nothing_stops_at_once(make_bench: MakeBench) -> None:
    bench = make_bench(slots=2)
    for fault in ("hang", "slow"):
        wait_for_heartbeat(bench.submit(bench.fault(fault)))
    bench.supervisor.stop_running("the run was stopped", seconds=1000)
    attempts = [bench.next(timeout=0), bench.next(timeout=0)]
    assert {failure(a).failure_class for a in attempts} == {"interrupted"}
    assert not any(a.retried for a in attempts)


def test_job_that_does_not_stop_in_time_is_killed(make_bench: MakeBench) -> None:
    bench = make_bench()
    child_of(bench.submit(bench.fault("deaf")))
    bench.supervisor.stop_running("the run was stopped", seconds=0.5)
    finished = bench.next(timeout=0)
    assert (failure(finished).failure_class, failure(finished).reason) == ("interrupted", "the run was stopped")


def test_method_that_exits_is_a_crash(make_bench: MakeBench) -> None:
    bench = make_bench()
    first, second = bench.run(bench.fault("sys_exit"))
    assert (first.retried, second.retried) == (True, False)
    assert failure(second).reason == "SystemExit: 3"


# -- groups that train together

TRAINING = {"template": "plain", "learning_rate": 5e-3, "num_train_epochs": 2, "batch_size": 8}


def training_job(trial: int, method: str, model: Path, stage: int | None, **params: object) -> Fit:
    """A job that trains; with a stage by DeepSpeed, else in the plain loop."""
    settings = TrainingSettings(precision="fp32")
    if stage is not None:
        settings = TrainingSettings.model_validate({"engine": "deepspeed", "zero_stage": stage, "precision": "fp32"})
    return fit_job(
        trial,
        TRAINING | params,
        method=method,
        model=ModelReference(name="tiny", family="causal_lm", location=str(model)),
        training=settings,
    )


def trained(finished: Finished) -> tuple[list[float], float]:
    """Losses of the training, and rows answered rightly."""
    result = measurement(finished)
    return result.train_loss, sum(row.stats[0] for row in result.rows)


@pytest.mark.parametrize("stage", [*(pytest.param(stage, marks=pytest.mark.slow) for stage in (0, 2)), 3])
@pytest.mark.parametrize("ranks", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_deepspeed_trains_as_the_plain_loop_does(
    make_bench: MakeBench, tiny_model: Path, ranks: int, stage: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # no C++ compiler there
    single, group = (
        make_bench(("torch", "transformers")),
        make_bench(("torch", "transformers"), devices_per_trial=ranks),
    )
    for trial, method in enumerate(("lora", "full")):
        losses, right = trained(single.run(training_job(trial, method, tiny_model, stage=None))[0])
        finished = group.run(training_job(trial, method, tiny_model, stage=stage))[0]
        assert finished.outcome.devices.count == ranks
        assert trained(finished)[0] == pytest.approx(losses, abs=2e-4)
        assert trained(finished)[1] == right


@pytest.mark.parametrize("victim", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_killed_rank_ends_its_group_and_the_job_is_retried(
    make_bench: MakeBench, tiny_model: Path, victim: int
) -> None:
    bench = make_bench(("torch", "transformers"), devices_per_trial=2)
    folder = bench.submit(training_job(0, "full", tiny_model, stage=2, num_train_epochs=400, batch_size=1))
    beats: set[int] = set()
    deadline = time.monotonic() + 60
    while len(beats) < 3 and time.monotonic() < deadline:  # it trains
        assert bench.supervisor.next_finished(timeout=0.05) is None
        beats.add((folder / "heartbeat").stat().st_mtime_ns if (folder / "heartbeat").exists() else 0)
    group = workers(bench)
    os.kill(group[victim].pid, signal.SIGKILL)
    started = time.monotonic()
    finished = bench.next()
    assert failure(finished).failure_class == "crash"
    assert finished.retried
    assert time.monotonic() - started < 30
    assert gone_within(0.1, *(p.pid for p in group))
    bench.supervisor.kill_running("enough")
    bench.next()
    assert measurement(bench.run(training_job(1, "lora", tiny_model, stage=0))[0])


def test_prompt_needs_one_rank_of_a_group(make_bench: MakeBench, tiny_model: Path) -> None:
    bench = make_bench(("torch", "transformers"), devices_per_trial=2)
    job = training_job(0, "prompt", tiny_model, stage=None)
    prompt = job.candidate.model_copy(update={"params": {"template": "plain"}})
    assert measurement(bench.run(job.model_copy(update={"candidate": prompt}))[0])
