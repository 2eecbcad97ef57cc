"""What a study in PostgreSQL costs beside one in SQLite: statements, commits and bytes per trial, and the driver's time.

    python benchmarks/storage/run.py [--trials 200]

Both searches try the same candidates on scripted models, which take no time. A server is started in a temporary folder.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "plugins")]

import sqlalchemy  # noqa: E402
from postgres_server import PostgresServer, running_server  # noqa: E402
from scripted_task import write_scripted_task  # noqa: E402

from autoadapt.api.search import run_search  # noqa: E402
from autoadapt.domain.events import Event  # noqa: E402

QUIET = {"robustness": False, "learning_curve": False, "final_fit": False, "load_requests": 0, "latency_requests": 5}
ENDS = ("trial_finished", "trial_stopped_early", "trial_failed", "trial_cached")
counts = {"statements": 0, "commits": 0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", lambda *_: _count("statements"))
    sqlalchemy.event.listen(sqlalchemy.Engine, "commit", lambda *_: _count("commits"))
    with tempfile.TemporaryDirectory() as folder:
        for server in running_server():
            _measure(Path(folder) / "file", None, options.trials, None)
            _measure(Path(folder) / "database", server.make_database("studies"), options.trials, server)


def _count(name: str) -> None:
    counts[name] += 1


def _measure(folder: Path, storage: str | None, trials: int, server: PostgresServer | None) -> None:
    folder.mkdir()
    task = write_scripted_task(
        folder,
        storage=storage,
        methods=["lora", "full"],
        budget={"trials": trials},
        search={"sampler": "random", "rungs": False},
        compute={"on_cpu": True, "slots": 1},
        evaluation={"rows": 40, "test_rows": 10, **QUIET},
    )
    before, ends = _bytes(server), []

    def seen(event: Event) -> None:
        if event.kind in ENDS:
            ends.append({"cpu": time.process_time(), "wall": time.monotonic(), **counts})

    run_search(task, runs=folder / "runs", on_event=seen)
    done = len(ends) - 1
    what = {
        "statements": "statements",
        "commits": "commits",
        "cpu": "CPU seconds of the driver",
        "wall": "wall seconds",
    }
    print(f"{'PostgreSQL' if storage else 'SQLite'}, {done} trials; for each")
    for name, title in what.items():
        print(f"  {title}: {(ends[-1][name] - ends[0][name]) / done:.3f}")
    file = folder / "runs" / "fruits" / "study.db"
    size = _bytes(server) - before if server else file.stat().st_size
    print(f"  bytes in the database: {size / len(ends):,.0f}")


def _bytes(server: PostgresServer | None) -> int:
    if server is None:
        return 0
    return int(str(server.run("select pg_database_size('studies')")[0][0]))


if __name__ == "__main__":
    main()
