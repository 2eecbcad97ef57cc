"""How soon does a search begin, how long does a prompt trial take, and how much memory do its processes need?

    python benchmarks/startup/run.py [--python PYTHON] [--times 3] [--parts start prompt memory scripted]

`--python` names the interpreter of another environment, to measure another version: nothing of autoadapt is imported
here. PYTHONPATH is passed on.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/support/task.yaml"
PLUGINS = ROOT / "tests/plugins"
"""Where the model family `scripted` is: it answers from a table and needs no torch."""
TEMPLATES = 5
SHORT = ("evaluation.load_requests=0", "evaluation.learning_curve=false")
"""Settings that leave out what the end of a search measures beyond test scores."""


class Search:
    """A search on the command line, and what is read of its processes while it runs.

    Args:
        python: the interpreter.
        task: the task file.
        runs: folder of its run folder.
        settings: ``key=value`` overrides.
        plugins: whether the test plug-ins can be named.
    """

    def __init__(
        self, python: str, task: Path, runs: Path, settings: Sequence[str] = (), plugins: bool = False
    ) -> None:
        self.runs, self.begun = runs, time.perf_counter()
        command = [python, "-m", "autoadapt.cli.main", "search", str(task), "--runs", str(runs)]
        command += [part for setting in settings for part in ("--set", setting)]
        paths = [*([str(PLUGINS)] if plugins else []), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(p for p in paths if p)}
        self.process = subprocess.Popen(
            # elsewhere than in a checkout, whose folder `autoadapt` would hide that of the interpreter
            command,
            cwd=runs.parent,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[tuple[float, str]] = []
        """Lines on stderr, with the seconds after which they came."""
        self.peaks: dict[int, int] = {}
        """Process -> greatest resident memory in bytes (VmHWM)."""
        self.kinds: dict[int, str] = {}
        """Process -> driver, child or grandchild of the driver."""
        self.driver_peak_before_report = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append((time.perf_counter() - self.begun, line))
            if line.startswith("finished:"):
                self.driver_peak_before_report = peak_bytes(self.process.pid)

    def first(self, start: str) -> float | None:
        """Seconds until the first line that begins so."""
        return next((seconds for seconds, line in list(self.lines) if line.startswith(start)), None)

    def until_file(self, pattern: str) -> float:
        """Waits for a file in the run folder; returns the seconds."""
        while not any(self.runs.glob(pattern)):
            if self.process.poll() is not None:
                sys.exit("the search ended early:\n" + "".join(line for _, line in self.lines))
            time.sleep(0.002)
        return time.perf_counter() - self.begun

    def watch_memory(self) -> None:
        """Reads the peak memory of the driver and of all processes below it until the search ends."""
        driver = psutil.Process(self.process.pid)
        while self.process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._note(driver, "driver")
                for child in driver.children():
                    self._note(child, "child")
                    for grandchild in child.children():
                        self._note(grandchild, "grandchild")
            time.sleep(0.02)
        self._reader.join()
        if self.process.returncode not in (0, 5, 6):
            sys.exit("the search failed:\n" + "".join(line for _, line in self.lines))

    def _note(self, process: psutil.Process, kind: str) -> None:
        if peak := peak_bytes(process.pid):
            self.peaks[process.pid], self.kinds[process.pid] = peak, kind

    def peaks_of(self, kind: str) -> list[int]:
        """Peaks of the processes of a kind; a lone 0: there was none."""
        return [peak for pid, peak in self.peaks.items() if self.kinds[pid] == kind] or [0]

    def outcomes(self) -> list[dict[str, Any]]:
        """The outcome of every fit, by trial."""
        files = sorted(self.runs.glob("*/trials/*/rung*/outcome.json"))
        return [json.loads(file.read_text()) for file in files]

    def stop(self) -> None:
        """Ends the driver, and waits until it has ended its workers."""
        self.process.terminate()
        self.process.wait()


def peak_bytes(pid: int) -> int:
    """VmHWM of a process; 0: it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def start(python: str) -> dict[str, float]:
    """Seconds from the command to the first trial, to its job, and to its outcome."""
    with tempfile.TemporaryDirectory() as folder:
        search = Search(python, EXAMPLE, Path(folder))
        begun = search.until_file("*/trials/*/rung0/heartbeat")
        done = search.until_file("*/trials/*/rung0/outcome.json")
        search.stop()
        return {
            "s to the first line `trial started`": search.first("trial started") or float("nan"),
            "s to the first heartbeat of a worker": begun,
            "s to the first outcome": done,
        }


def prompt(python: str) -> dict[str, float]:
    """Device-seconds of zero-shot prompt trials that do the same work: of the first one, and of those after it."""
    with tempfile.TemporaryDirectory() as folder:
        write_prompt_task(Path(folder))
        search = Search(python, Path(folder) / "task.yaml", Path(folder) / "runs")
        search.watch_memory()
        seconds = [outcome["seconds"] * outcome["devices"]["count"] for outcome in search.outcomes()]
        if len(seconds) != TEMPLATES:
            sys.exit(f"{len(seconds)} of {TEMPLATES} trials were run")
        return {
            "device-seconds of the first prompt trial": seconds[0],
            "device-seconds of a later one, median": statistics.median(seconds[1:]),
        }


def write_prompt_task(folder: Path) -> None:
    """The example's data and model, one slot, and a space of equal prompts under different names."""
    examples = "{% for e in examples %}{{ e.input }}\nAnswer: {{ e.output }}\n\n{% endfor %}"
    template = "{{ instruction }}\n\n" + examples + "{{ input }}\nAnswer:"
    space = {
        "version": 1,
        "templates": {f"equal_{i}": template for i in range(TEMPLATES)},
        "instructions": {"options": "Classify the text as one of: {{ labels | join(', ') }}."},
        "shared": {"template": [f"equal_{i}" for i in range(TEMPLATES)], "instruction": "options"},
        "branches": {"prompt": {"shots": 0, "label_score": "sum"}},
    }
    (folder / "space.yaml").write_text(json.dumps(space))
    columns = {"input": "text", "output": "label"}
    task = {
        "name": "prompts",
        "data": {"path": str(ROOT / "examples/support/messages.jsonl"), "columns": columns},
        "metric": "accuracy",
        "models": ["embedded"],
        "methods": ["prompt"],
        "search_space": "space.yaml",
        "budget": {"trials": TEMPLATES},
        "economics": {"usd_per_hour": 0.1},
        "evaluation": {"load_requests": 0, "learning_curve": False, "test_rows": 10},
        "search": {"sampler": "random", "rungs": False},
        "compute": {"slots": 1},
    }
    (folder / "task.yaml").write_text(json.dumps(task))


def memory(python: str) -> dict[str, float]:
    """Peak memory of a search of six prompts on the example, which loads a model with torch."""
    return _memory(python, ("budget.trials=6", "methods=[prompt]", *SHORT), False)


def scripted(python: str) -> dict[str, float]:
    """The same for eight trials of models that answer from a table: none of the processes should import torch."""
    return _memory(python, ("budget.trials=8", "models=[scripted]", *SHORT), True)


def _memory(python: str, settings: Sequence[str], plugins: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        search = Search(python, EXAMPLE, Path(folder), settings, plugins)
        search.watch_memory()
        peaks = {
            "MB of the driver when the search has finished": search.driver_peak_before_report,
            "MB of the driver, its report included": max(search.peaks_of("driver")),
            "MB of its child that needs most (a worker, or the fork server)": max(search.peaks_of("child")),
            "MB of the fork server's worker that needs least": min(search.peaks_of("grandchild")),
            "MB of the fork server's worker that needs most": max(search.peaks_of("grandchild")),
        }
        return {name: peak / 1e6 for name, peak in peaks.items()}


PARTS: dict[str, Callable[[str], dict[str, float]]] = {
    "start": start,
    "prompt": prompt,
    "memory": memory,
    "scripted": scripted,
}


def medians(measure: Callable[[str], dict[str, float]], python: str, times: int) -> Iterator[str]:
    """Every figure in a line: its median, and all of its values."""
    results = [measure(python) for _ in range(times)]
    for name in results[0]:
        values = [result[name] for result in results]
        listed = ", ".join(f"{value:.3g}" for value in values)
        yield f"  {statistics.median(values):8.3g} {name} ({listed})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    args = parser.parse_args()
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"{cores} cores, load of the last minute {load:.2f}; medians of {args.times}", flush=True)
    for part in args.parts:
        print(f"{part}: {(PARTS[part].__doc__ or '').splitlines()[0]}", flush=True)
        for line in medians(PARTS[part], args.python, args.times):
            print(line, flush=True)


if __name__ == "__main__":
    main()
