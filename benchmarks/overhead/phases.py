"""Shares of the phases of a finished search: of its wall time and of its device time.

    python benchmarks/overhead/phases.py runs/support [runs/OTHER ...]

The search lasts until the first job after it begins; from then on a phase is given the time from the beginning of each of
its jobs to that of the next job of any phase, by the times at which ``job.json`` and ``outcome.json`` were written. What
lies between the last job and the last file of the run (verdict and report) is a phase of its own. So it can be used for a
study that one run has searched from beginning to end; of a resumed one the times between runs would be counted.
"""

import argparse
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

PHASES = {
    "fit": "search",
    "score": "scoring on test rows",
    "load_test": "load tests",
    "refit": "learning curve and seeds",
    "in_turn": "options timed in turn",
    "final_fit": "final fit",
}
"""Kind of job -> phase, in the order of a search."""
LAST = "verdict and report"
ENDING = (*list(PHASES.values())[1:-1], LAST)
"""Phases after the search that may take a tenth of the budget: the final fit trains what is to be deployed."""


@dataclass(frozen=True)
class Job:
    """A job of a run folder."""

    phase: str
    begun: float
    ended: float
    device_seconds: float
    single_requests: float
    """Seconds of the single requests that it timed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    for root in parser.parse_args().runs:
        print(f"{root.name}")
        print_shares(root)


def print_shares(root: Path) -> None:
    """Prints a table of the phases of one run folder."""
    jobs = read_jobs(root)
    wall, device = wall_seconds(root, jobs), device_seconds(jobs)
    all_wall, all_device = sum(wall.values()), sum(device.values())
    print(f"  {'phase':<26} {'wall':>8} {'share':>7} {'device':>8} {'share':>7}")
    for name in (*PHASES.values(), LAST):
        print(f"  {name:<26} {_row(wall.get(name, 0.0), all_wall, device.get(name, 0.0), all_device)}")
    ending = [sum(times.get(name, 0.0) for name in ENDING) for times in (wall, device)]
    print(f"  {'from the end of the search':<26} {_row(ending[0], all_wall, ending[1], all_device)}")
    single = sum(job.single_requests for job in jobs)
    print(f"  single requests timed: {single:.1f} s, {single / all_device:.1%} of the device time")


def _row(wall: float, all_wall: float, device: float, all_device: float) -> str:
    return f"{wall:>6.1f} s {wall / all_wall:>7.1%} {device:>6.1f} s {device / all_device:>7.1%}"


def read_jobs(root: Path) -> list[Job]:
    """All jobs of a run folder that have ended, by the time at which they began."""
    jobs = []
    for file in root.glob("trials/*/*/outcome.json"):
        asked, outcome = json.loads((file.parent / "job.json").read_text()), json.loads(file.read_text())
        latency_ms = outcome["result"].get("latency_ms", [])
        jobs.append(
            Job(
                PHASES["final_fit" if "validation" in asked.get("splits", ()) else asked["kind"]],
                (file.parent / "job.json").stat().st_mtime,
                file.stat().st_mtime,
                outcome["seconds"] * outcome["devices"]["count"],
                sum(latency_ms) / 1000,
            )
        )
    return sorted(jobs, key=lambda job: job.begun)


def wall_seconds(root: Path, jobs: list[Job]) -> dict[str, float]:
    """Phase -> seconds of wall time, from the lock file, which is written when a search begins, to the last file."""
    ending = [job for job in jobs if job.phase != PHASES["fit"]]
    ended = max(job.ended for job in jobs)
    written = [file.stat().st_mtime for name in ("results.json", "report.html") if (file := root / name).exists()]
    marks = [(PHASES["fit"], min((root / "task.lock.yaml").stat().st_mtime, jobs[0].begun))]
    marks += [(job.phase, job.begun) for job in ending]
    marks += [(LAST, ended), ("", max([ended, *written]))]
    seconds: dict[str, float] = {}
    for (phase, since), (_, until) in itertools.pairwise(marks):
        seconds[phase] = seconds.get(phase, 0.0) + until - since
    return seconds


def device_seconds(jobs: list[Job]) -> dict[str, float]:
    """Phase -> device-seconds that its jobs held."""
    seconds: dict[str, float] = {}
    for job in jobs:
        seconds[job.phase] = seconds.get(job.phase, 0.0) + job.device_seconds
    return seconds


if __name__ == "__main__":
    main()
