"""How long does the report of 1,000 trials take, how large is it, and when is it drawn? See README.md.

python benchmarks/report/run.py [--trials 1000] [--keep FOLDER]
"""

import argparse
import contextlib
import dataclasses
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "search"))

from surrogates import TASKS  # type: ignore[import-not-found]
from surrogates import Task as MadeUp

from autoadapt.assess.end_of_search import EndOfSearch
from autoadapt.assess.verdicts import give_verdict
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.events import Event
from autoadapt.domain.rows import Row
from autoadapt.domain.task import Budget, SearchSettings
from autoadapt.executors.replay import Replay
from autoadapt.forecast.simulation import SimulatedTask
from autoadapt.runs.importances import importances
from autoadapt.runs.storage import open_study
from autoadapt.runs.study import Study
from autoadapt.study.resources import StandIns, open_resources
from autoadapt.study.search import Search
from autoadapt.study.stop_signals import StopSignals
from autoadapt.tasks.resolve import ResolvedTask

ROWS = 200


def made_up(name: str, problem: MadeUp, trials: int) -> ResolvedTask:
    """A made-up task as if it had been read from a file, with test rows."""
    simulated = SimulatedTask(
        problem.space, Budget(trials=trials), models=problem.models, rows=ROWS, economics=problem.economics
    )
    resolved = simulated.resolved(SearchSettings(sampler=PluginChoice(name="random")), seed=0)
    evaluation = resolved.task.evaluation.model_copy(update={"learning_curve": False})
    test = [Row(id=ROWS + i, input=f"row {i}", outputs=["a"]) for i in range(ROWS)]
    return dataclasses.replace(
        resolved,
        task=resolved.task.model_copy(update={"name": name, "evaluation": evaluation}),
        splits=dataclasses.replace(resolved.splits, test=test),
    )


def make_run(root: Path, trials: int) -> None:
    """A run folder as a real search leaves it, its trials answered by a made-up task in virtual time."""
    problem = MadeUp(TASKS[0], 0)
    executor = Replay(answers=problem.answers, scores=lambda *job: problem.answers(*job[:2], job[2] + 1), slots=4)
    stop = StopSignals()
    resolved = made_up(root.name, problem, trials)
    with open_resources(resolved, root, _ignore, stand_ins=StandIns(executor=executor)) as resources:
        search = Search(resources)
        search.run(stop)
        end = EndOfSearch(search, slots=4, alone=False)
        end.run(stop)
        search.results.verdict = give_verdict(search, end.jobs)
        search.results.importances = importances(resources.study.get_trials(), resolved.goals, resolved.task.seed)
        search.results.write(search.status())


def _ignore(event: Event) -> None:
    pass


def longest_write_seconds(root: Path) -> tuple[float, int]:
    """Longest write to the study, and how many there were, while its report is made again and again."""
    study = open_study(root / "study.db", root.name, Study.load(root).goals)
    command = [sys.executable, "-m", "autoadapt.cli.main", "report", str(root), "--output", str(root / "other.html")]
    longest, writes = 0.0, 0
    for _ in range(3):
        reading = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while reading.poll() is None:
            begun = time.perf_counter()
            study.set_user_attr("written", writes)
            longest, writes = max(longest, time.perf_counter() - begun), writes + 1
    return longest, writes


def drawn_seconds(report: Path) -> float | None:
    """Seconds from opening the page in headless Chromium until its first plots are drawn; None: there is no Chromium."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        return None
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=flags)
        page = opened.new_page()
        begun = time.perf_counter()
        page.goto(report.resolve().as_uri() + "#frontier")
        page.wait_for_function(
            "[...document.querySelectorAll('#frontier .plot')].every(p => p.querySelector('.main-svg'))"
        )
        seconds = time.perf_counter() - begun
        assert page.locator("#trials-table tbody tr").count() > 0
        opened.close()
    return seconds


def computed_seconds() -> float:
    """Seconds that child processes have computed; a busy machine changes them less than it changes the clock."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for trials in (10, arguments.trials):
            root = folder / f"run-{trials}"
            if not (root / "verdict.json").exists():
                begun = time.perf_counter()
                make_run(root, trials)
                print(f"made a run of {trials} trials in {time.perf_counter() - begun:.0f} s", flush=True)
            command = [sys.executable, "-m", "autoadapt.cli.main", "report", str(root)]
            times, computing = [], []
            for _ in range(3):
                begun, computed = time.perf_counter(), computed_seconds()
                subprocess.run(command, check=True, capture_output=True)
                times.append(time.perf_counter() - begun)
                computing.append(computed_seconds() - computed)
            size = (root / "report.html").stat().st_size
            drawn = drawn_seconds(root / "report.html")
            blocked, writes = longest_write_seconds(root)
            print(f"{trials} trials: of {writes} writes while the report is made the longest took {blocked:.3f} s")
            drawing = "no Chromium here" if drawn is None else f"drawn {drawn:.1f} s after it is opened"
            print(
                f"{trials} trials: `autoadapt report` takes {min(times):.1f} s ({min(computing):.1f} s of a core), report.html has {size / 1e6:.2f} MB, {drawing}"
            )


if __name__ == "__main__":
    main()
