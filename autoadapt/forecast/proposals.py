"""What a first search should try: models that are here and fit, a budget, and what it costs at most."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoadapt.domain.machine import Machine
from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.prices import DevicePrice
from autoadapt.domain.task import Compute
from autoadapt.executors.local import slot_count
from autoadapt.forecast.memory import need_bytes
from autoadapt.tasks.listed_models import ListedModel
from autoadapt.tasks.prices import Prices
from autoadapt.tasks.starting import Beginning

ENCODER = "encoder"
"""Family of models that give labels alone."""
MOST_MODELS = 2
MOST_PARAMETERS_ON_CPU = 400_000_000
"""Larger models take hours on a CPU."""
TRIALS, HOURS_ON_CPU, HOURS_ON_GPU = 24, 0.5, 1.0
CPU_USD_PER_HOUR = 0.10
"""About what a rented machine costs for each slot of a few cores; the task file says that it is an assumption."""
GPU_USD_PER_HOUR = 2.00
"""Of a GPU that the price book does not know; it is marked as an assumption."""


@dataclass(frozen=True)
class Proposal:
    """A first search."""

    models: list[str]
    also: list[str]
    """Further models that could be named, each with what it needs."""
    trials: int
    hours: float
    economics: str
    """Key and value of the price of a device-hour, as they stand in the task file."""
    price: str
    """Where that price comes from."""
    most_usd: float
    """The most that the budget comes to."""
    slots: int
    device: str


@dataclass(frozen=True)
class Begun:
    """A task file that was written, and what is proposed in it."""

    file: Path
    beginning: Beginning
    proposal: Proposal


def proposed_search(machine: Machine, models: Sequence[ListedModel], answers: AnswerKind) -> Proposal:
    """A first search on this machine.

    Args:
        machine: where it runs.
        models: that a task can name.
        answers: labels, sets of labels, or free text.
    """
    gpus = len(machine.gpus)
    slots = slot_count(Compute(), gpus, gpus or machine.cores)
    hours = HOURS_ON_GPU if gpus else HOURS_ON_CPU
    economics, usd, price = _priced(machine)
    return Proposal(
        models=_chosen(machine, models, answers, slots),
        also=_also(machine, models, answers),
        trials=TRIALS,
        hours=hours,
        economics=economics,
        price=price,
        most_usd=usd * hours * slots,
        slots=slots,
        device=machine.gpus[0] if gpus else f"CPU, {machine.cores} cores",
    )


def _chosen(machine: Machine, models: Sequence[ListedModel], answers: AnswerKind, slots: int) -> list[str]:
    """The largest language model that fits, and for labels an encoder; the embedded one where nothing else is here."""
    gpu = bool(machine.gpus)
    memory = machine.accelerator_bytes if gpu else machine.memory_bytes // slots
    here = [
        model
        for model in models
        if model.folder is not None
        and need_bytes(model.parameters, 0, 1, low_precision=gpu) <= memory
        and (gpu or model.parameters <= MOST_PARAMETERS_ON_CPU)
    ]
    encoders = [model for model in here if model.family == ENCODER and answers != "text"]
    writers = [model for model in here if model.family != ENCODER]
    chosen = [max(group, key=lambda model: model.parameters).name for group in (writers, encoders) if group]
    return chosen[:MOST_MODELS] or ["embedded"]


def _also(machine: Machine, models: Sequence[ListedModel], answers: AnswerKind) -> list[str]:
    usable = [model for model in models if answers != "text" or model.family != ENCODER]
    also = [f"{model.name} (first: {model.get})" for model in usable if model.get is not None]
    also += [f"server:{name}@{server.url}" for server in machine.servers for name in server.models[:3]]
    also += [f"{provider}:MODEL ({key} is set; requests are billed)" for provider, key in machine.keys.items()]
    return also


def _priced(machine: Machine) -> tuple[str, float, str]:
    """The price of a device-hour as the task file states it, in USD, and where it comes from."""
    if not machine.gpus:
        return f"usd_per_hour: {CPU_USD_PER_HOUR:.2f}", CPU_USD_PER_HOUR, "an assumption; put your own price"
    listed = _listed(machine)
    if listed is None:
        why = f"an assumption: the price book does not know {machine.gpus[0]}; put your own price"
        return f"usd_per_hour: {GPU_USD_PER_HOUR:.2f}", GPU_USD_PER_HOUR, why
    source = f"the lowest that is listed ({listed.date}); put your own"
    return f"price: {listed.name}", float(listed.usd_per_hour), source


def _listed(machine: Machine) -> DevicePrice | None:
    """The lowest listed price of the GPU here; None: the book does not know it.

    A device such as ``h100-sxm-80gb`` is the one here where its chip is in the GPU's name; the nearest memory decides.
    """
    words = machine.gpus[0].lower().replace("-", " ").split()
    alike = [price for price in Prices().devices.values() if _chip(price.device) in words]
    have = (machine.gpu_bytes or 0) / 1e9
    return min(alike, key=lambda price: (abs(_gigabytes(price.device) - have), price.usd_per_hour), default=None)


def _chip(device: str) -> str:
    """The part of a device's name that has a number and is no size: ``h100`` of ``h100-sxm-80gb``."""
    parts = [part for part in device.split("-") if any(c.isdigit() for c in part) and not part.endswith("gb")]
    return parts[0] if parts else device


def _gigabytes(device: str) -> float:
    size = device.rsplit("-", 1)[-1].removesuffix("gb")
    return float(size) if size.isdigit() else 0.0
