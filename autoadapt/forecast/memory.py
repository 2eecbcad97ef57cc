"""What fits: bytes that training or answering needs on a device, from the numbers of weights.

Mixed precision, P weights in all, T of them trained, N devices (DeepSpeed's documentation of ZeRO): plain full tuning
keeps weights, gradients and AdamW's two moments in fp32, 16 P; adapters keep frozen weights in the computing type and
16 T; ZeRO-3 takes 2 P / N + 16 T / N. Activations come on top. Answering by a prompt keeps weights, and keys and values
of every token of a batch (`ModelFamily.cached_numbers`): 2 x layers x key-value heads x width of a head for each token.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from autoadapt.domain.candidate import Candidate
from autoadapt.errors import Exit, UserError
from autoadapt.executors.local import slot_count
from autoadapt.shelves import METHODS
from autoadapt.tasks.resolve import ResolvedTask
from autoadapt.worker.hardware import device_memory_bytes, usable_cores

ACTIVATIONS = 1.2
"""Factor for activations and buffers, which depend on batch and length."""
MethodOnModel = tuple[str, str]


def need_bytes(parameters: int, trained: float, devices: int, low_precision: bool, cached: int = 0) -> int:
    """Bytes needed on each device: for training or for answering afterwards, whichever needs more.

    Args:
        parameters: weights of the base model.
        trained: weights that are trained; 0 for a prompt.
        devices: that share the training.
        low_precision: whether the model computes in bf16, not in fp32.
        cached: numbers in the keys and values of its largest batch.
    """
    each = 2 if low_precision else 4
    if trained >= parameters > 0:
        # of several devices the leanest stage is asked, ZeRO-3: an earlier one is taken only where it fits
        whole = 18 * parameters / devices if devices > 1 else 16 * parameters
    else:
        whole = each * parameters + 16 * trained / devices
    answering = ACTIVATIONS * each * parameters + each * cached
    return int(max(whole * ACTIVATIONS, answering))


def memory_needs(
    resolved: ResolvedTask, candidates: Iterable[Candidate]
) -> tuple[dict[MethodOnModel, int], int | None]:
    """Bytes that each method on each model needs on a device, by formula, and bytes that a device (or CPU slot) has.

    Args:
        resolved: the task.
        candidates: one or more of every method and model.
    """
    compute = resolved.task.compute
    gpu = None if compute.on_cpu else device_memory_bytes("cuda")
    low_precision = compute.precision != "fp32" and gpu is not None
    accelerator = "cpu" if gpu is None else "cuda"
    needs: dict[MethodOnModel, int] = defaultdict(int)
    for candidate in candidates:
        capabilities = resolved.capabilities[candidate.model]
        if capabilities.remote:
            needs[candidate.method, candidate.model] = 0
            continue
        trained = METHODS.get(candidate.method).parameters_trained(candidate.params, capabilities)
        cached = resolved.cached_numbers(candidate, accelerator)
        need = need_bytes(capabilities.parameters, trained, compute.devices_per_trial, low_precision, cached)
        needs[candidate.method, candidate.model] = max(needs[candidate.method, candidate.model], need)
    memory = device_memory_bytes("cpu")
    # slots on the CPU work side by side in the same memory
    return needs, gpu or (None if memory is None else memory // slot_count(compute, 0, len(usable_cores())))


def too_large(needs: Mapping[MethodOnModel, int], memory: int | None) -> set[MethodOnModel]:
    """Methods and models that need more than a device has."""
    return {key for key, size in needs.items() if memory is not None and size > memory}


def check_memory(resolved: ResolvedTask, candidates: Iterable[Candidate]) -> list[str]:
    """Warnings of methods that cannot fit, before anything is launched.

    Raises:
        UserError: no method can; exit 4.
    """
    needs, memory = memory_needs(resolved, candidates)
    large = too_large(needs, memory)
    if large and len(large) == len(needs):
        raise UserError(
            f"no method can run here: {needs_line(needs, memory)}; take a smaller model, or more devices",
            Exit.ENVIRONMENT,
        )
    have = 0 if memory is None else memory
    return [
        f"{method} on {model} needs {needs[method, model] / 1e9:.1f} GB by formula, a device has {have / 1e9:.1f} GB: "
        "its trials will probably fail; leave it out of methods, or raise compute.devices_per_trial"
        for method, model in sorted(large)
    ]


def needs_line(needs: Mapping[MethodOnModel, int], memory: int | None) -> str:
    """What every method on every model needs and what a device has, in a line."""
    have = "unknown" if memory is None else f"{memory / 1e9:.1f} GB"
    return "; ".join(
        f"{method} on {model} needs {size / 1e9:.1f} GB, the device has {have}"
        for (method, model), size in needs.items()
    )
