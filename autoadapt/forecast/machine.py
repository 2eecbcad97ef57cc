"""What this machine has for a search: devices, memory, torch, model servers, keys. Nothing heavy is imported for it."""

import ast
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx2
import psutil

from autoadapt.domain.machine import Hub, LocalServer, Machine, Torch
from autoadapt.models.remote.names import PROVIDERS
from autoadapt.worker.hardware import cpu_name, device_memory_bytes, gpu_names, usable_cores

SERVERS = {
    "vLLM": "http://127.0.0.1:8000/v1",
    "llama.cpp": "http://127.0.0.1:8080/v1",
    "Ollama": "http://127.0.0.1:11434/v1",
    "LM Studio": "http://127.0.0.1:1234/v1",
    "SGLang": "http://127.0.0.1:30000/v1",
}
"""Where servers of models listen on this machine unless they are told otherwise (their documentation, 2026-11)."""
HUB = "https://huggingface.co"
TRUE = {"1", "true", "yes", "on"}
TRY_TORCH = (
    "import json, torch; n = torch.cuda.device_count() if torch.cuda.is_available() else 0; "
    "print(json.dumps({'version': torch.__version__, 'cuda': torch.version.cuda, 'gpus': n}))"
)
LONGEST_TRY_SECONDS = 120


def survey(folder: Path, try_torch: bool = False, places: Sequence[str] = tuple(SERVERS.values())) -> Machine:
    """What is here.

    Args:
        folder: where a search would write.
        try_torch: whether torch is imported, in a process of its own; it takes seconds.
        places: URLs at which servers of models are looked for.
    """
    memory, gpus = psutil.virtual_memory(), gpu_names()
    return Machine(
        cpu=cpu_name(),
        cores=len(usable_cores()),
        memory_bytes=device_memory_bytes("cpu") or memory.total,
        available_bytes=memory.available,
        disk_bytes=free_bytes(folder),
        gpus=gpus,
        gpu_bytes=device_memory_bytes("cuda") if gpus else None,
        torch=tried_torch() if try_torch else installed_torch(),
        servers=[found for url in places if (found := server_at(url)) is not None],
        keys={name: provider.key for name, provider in PROVIDERS.items() if os.environ.get(provider.key)},
    )


def free_bytes(folder: Path) -> int:
    """Free bytes of the disk on which a folder is, or would be made."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def server_at(url: str) -> LocalServer | None:
    """The server of models at a URL; None: there is none, or none that lists its models as OpenAI's interface does."""
    try:
        # a proxy would be asked for this very machine
        answer = httpx2.get(f"{url}/models", timeout=0.5, trust_env=False)
        listed = answer.json()["data"] if answer.status_code == 200 else []
        models = [str(model["id"]) for model in listed]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        return None
    return LocalServer(url=url, models=models) if models else None


def hub_state(timeout: float = 3.0) -> Hub:
    """Whether models can be fetched from the Hugging Face hub."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in TRUE:
        return "switched off"
    try:
        httpx2.head(os.environ.get("HF_ENDPOINT") or HUB, timeout=timeout, follow_redirects=True)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
        return "unreachable"
    return "reachable"


def installed_torch() -> Torch:
    """The installed torch by its files alone."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return Torch()
    try:
        stated = (Path(found.origin).parent / "version.py").read_text()
    except OSError:
        stated = ""
    cuda = re.search(r"^cuda(?:: [^=]+)? = (None|'[^']*')", stated, re.MULTILINE)
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        version = "of unknown version"
    return Torch(version=version, cuda=ast.literal_eval(cuda[1]) if cuda else None)


def tried_torch() -> Torch:
    """The installed torch after it was imported in a process of its own."""
    installed = installed_torch()
    if installed.version is None:
        return installed
    command = [sys.executable, "-P", "-c", TRY_TORCH]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_TRY_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return installed.model_copy(update={"failure": f"importing it takes more than {LONGEST_TRY_SECONDS} s"})
    try:
        return Torch.model_validate(json.loads(run.stdout.splitlines()[-1]))
    except (ValueError, IndexError):
        last = (run.stderr.strip().splitlines() or [f"its process ended with code {run.returncode}"])[-1]
        return installed.model_copy(update={"failure": last[:300]})
