"""How many answers of a hosted model a killed and resumed search asks for again.

python benchmarks/answer_cache/run.py [--rows 120] [--kills 1 3]

A server of this script is the hosted model; it counts requests and answers at random. The same search of prompts runs
whole, and with the driver and its workers killed (SIGKILL) after equal parts of the requests of the whole one, and is
resumed each time. Requests that were sent again, beyond those that the whole search repeats, are answers that were asked
for and lost. The data must lie in ../shared beside the checkout.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

DATA = (Path(__file__).parent / "../../../shared/data/sst2").resolve()
DELAY_SECONDS = 0.02
SPACE = """\
templates:
  plain: "{{ instruction }}\\n{% for e in examples %}{{ e.input }}\\n{{ e.output }}\\n{% endfor %}{{ input }}\\nAnswer:"
  arrow: "{{ instruction }}\\n{% for e in examples %}{{ e.input }} => {{ e.output }}\\n{% endfor %}{{ input }} =>"
instructions: {options: "One of: {{ labels | join(', ') }}."}
shared: {template: [plain, arrow], instruction: [options]}
branches:
  prompt@remote: {shots: [0, 4], selector: {search: [random, balanced], when: {shots: [4]}}}
"""


class Count:
    """Requests that a server has answered, and those of them that it had answered before."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.bodies: dict[str, int] = {}
        self.requests = 0

    def add(self, body: str) -> None:
        with self.lock:
            self.requests += 1
            self.bodies[body] = self.bodies.get(body, 0) + 1

    @property
    def repeated(self) -> int:
        with self.lock:
            return sum(count - 1 for count in self.bodies.values())


@contextlib.contextmanager
def server(labels: list[str], count: Count) -> Iterator[str]:
    """A hosted model behind OpenAI's interface."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            known = self.path.endswith("/chat/completions")
            if known:
                time.sleep(DELAY_SECONDS)
                count.add(text)
            reply = self._chat(text) if known else {}
            body = json.dumps(reply).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the search was killed meanwhile
                self.wfile.write(body)

        def _chat(self, text: str) -> dict[str, Any]:
            message = {"role": "assistant", "content": random.Random(text).choice(labels)}
            usage = {"prompt_tokens": len(text.split()), "completion_tokens": 1}
            return {"model": "m", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}

        def log_message(self, *arguments: Any) -> None:
            pass

    every = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=every.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{every.server_port}/v1"
    finally:
        every.shutdown()


def write_task(folder: Path, url: str, labels: list[str], rows: int) -> Path:
    model = f"server:m@{url}"
    task = {
        "name": "cached",
        "data": {
            "train": str(DATA / "train.jsonl"), "validation": str(DATA / "validation.jsonl"),
            "test": str(DATA / "test.jsonl"), "columns": {"input": "text", "output": "label"}, "labels": labels,
            "train_rows": 200,
        },
        "metric": "accuracy",
        "models": [model],
        "methods": ["prompt"],
        "remote": {model: {"price": {"input": 1.0, "output": 4.0}, "concurrency": 8}},
        "search_space": "space.yaml",
        "budget": {"trials": 6},
        "economics": {"usd_per_hour": 0.1},
        "search": {"sampler": "random", "rungs": False},
        "evaluation": {"rows": rows, "test_rows": rows, "load_requests": 0, "onnx": False, "robustness": False,
                       "learning_curve": False, "final_fit": False, "latency_requests": 5},
        "compute": {"on_cpu": True, "slots": 1},
    }  # fmt: skip
    (folder / "space.yaml").write_text(SPACE)
    file = folder / "task.yaml"
    file.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in task.items()))
    return file


def search(task: Path, runs: Path, count: Count, until: int | None = None) -> None:
    """Runs or resumes the search; kills it with all that it started once so many requests were answered."""
    command = [sys.executable, "-m", "autoadapt", "search", str(task), "--runs", str(runs)]
    log = runs.with_suffix(".txt").open("w")
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    while process.poll() is None:
        if until is not None and count.requests >= until:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            time.sleep(1.0)  # the workers end with their driver
            return
        time.sleep(0.01)
    if process.returncode:
        raise SystemExit(
            f"the search ended with exit code {process.returncode}:\n{runs.with_suffix('.txt').read_text()}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=120)
    parser.add_argument("--kills", type=int, nargs="*", default=[1, 3])
    chosen = parser.parse_args()
    if not DATA.exists():
        raise SystemExit(f"{DATA} is not there: this benchmark reads public data beside the checkout")
    labels = sorted({json.loads(line)["label"] for line in (DATA / "train.jsonl").read_text().splitlines()})
    print(
        "| search | kills | requests | asked for again | answers kept of those before the kills |\n|---|---|---|---|---|"
    )
    with TemporaryDirectory() as temporary:
        folder, count = Path(temporary), Count()
        with server(labels, count) as url:
            task = write_task(folder, url, labels, chosen.rows)
            search(task, folder / "whole", count)
        whole, again = count.requests, count.repeated
        print(f"| whole | 0 | {whole} | {again} | |", flush=True)
        for kills in chosen.kills:
            count = Count()
            with server(labels, count) as url:
                task = write_task(folder, url, labels, chosen.rows)
                for kill in range(kills):
                    search(task, folder / f"killed-{kills}", count, whole * (kill + 1) // (kills + 1))
                before = count.requests
                search(task, folder / f"killed-{kills}", count)
            lost = count.repeated - again
            print(f"| killed | {kills} | {count.requests} | {lost} | {1 - lost / before:.1%} |", flush=True)
            shutil.rmtree(folder / f"killed-{kills}")


if __name__ == "__main__":
    main()
