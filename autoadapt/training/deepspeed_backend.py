"""Training with DeepSpeed on a group of ranks, ZeRO stages 0 to 3.

The ranks are ordinary processes that the executor started; they meet through a file (no ports). On CPU the collective
operations are gloo's: DeepSpeed's own shared-memory ones would be compiled at start, which needs a C++ compiler, and a
lock left by a killed build hangs every later run. The optimizer is torch's AdamW for the same reason.
"""

import gc
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from autoadapt.training.batches import HasTokens
from autoadapt.training.plain import parameter_groups
from autoadapt.training.settings import BackendSettings


def join_group(rank: int, world: int, meeting_file: Path, accelerator: str) -> None:
    """Makes this process rank `rank` of `world`; the ranks meet in `meeting_file`, which must not exist before.

    Raises:
        RuntimeError: a rank did not come within 10 minutes.
    """
    if torch.distributed.is_initialized():
        return
    os.environ.setdefault("DS_ACCELERATOR", accelerator)
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK=str(rank))
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    import deepspeed

    backend = "nccl" if accelerator == "cuda" else "gloo"
    if accelerator == "cpu":
        deepspeed.ops.__compatible_ops__ = {}
    else:
        torch.cuda.set_device(rank)
    store = torch.distributed.FileStore(  # type: ignore[attr-defined]
        str(meeting_file), world
    )
    torch.distributed.init_process_group(
        backend, store=store, rank=rank, world_size=world, timeout=timedelta(minutes=10)
    )
    deepspeed.init_distributed(dist_backend=backend, verbose=False)


class ZeroBackend:
    """A DeepSpeed engine behind the interface of `PlainBackend`.

    Args:
        model: the model; under stage 3 its weights are spread over the ranks from here on.
        settings: how steps are computed; in bf16 the weights too are bf16, with fp32 copies in the optimizer.
        stage: 0 to 3.
        rank: this process.
        world: number of ranks.
    """

    resumes = False

    def __init__(self, model: torch.nn.Module, settings: BackendSettings, *, stage: int, rank: int, world: int) -> None:
        import deepspeed

        self.settings, self.stage, self.rank, self.world, self.leader = settings, stage, rank, world, rank == 0
        config = {
            "train_micro_batch_size_per_gpu": 1,
            "gradient_accumulation_steps": settings.micro_batches,
            "gradient_clipping": 1.0,
            "zero_optimization": {"stage": stage},
            "zero_allow_untested_optimizer": True,
            "zero_force_ds_cpu_optimizer": False,
            "bf16": {"enabled": settings.dtype == torch.bfloat16},
            "steps_per_print": 10**9,
        }
        optimizer = torch.optim.AdamW(parameter_groups(model, settings.weight_decay), lr=0.0)
        self.engine, self.optimizer, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=config)
        self.model, self.device = self.engine.module, self.engine.device

    def step(self, examples: Sequence[HasTokens], rate: float) -> float:
        """One optimizer step over all ranks; returns the mean loss of the whole batch."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        count, total = self.settings.loss.count(examples), torch.zeros((), device=self.device)
        share, parts = list(examples[self.rank :: self.world]), self.settings.micro_batches
        for part in range(parts):
            chosen = share[part::parts]
            # every rank must make every pass; one without rows repeats a row with weight 0
            loss = self.settings.loss.summed(self.engine, chosen or examples[:1], self.device) / count
            loss = loss if chosen else loss * 0.0
            total += loss.detach()
            # DeepSpeed averages over ranks and over accumulated parts, and the batch's sum is wanted
            self.engine.backward(loss * self.world * parts)
            self.engine.step()
        torch.distributed.all_reduce(total)
        return float(total)

    def agree(self, value: float) -> float:
        """Rank 0 decides for all, so that all have the same rate and no rank waits for one that has stopped."""
        number = torch.tensor([float(value)], dtype=torch.float32, device=self.device)
        torch.distributed.broadcast(number, src=0)
        return float(number.item())

    def save(self, folder: Path) -> None:
        """DeepSpeed's checkpoints are pickles, which are not written here: a job is done again from its start."""
        raise RuntimeError("the DeepSpeed backend keeps no checkpoints")

    def load(self, folder: Path) -> None:
        """See `save`."""
        raise RuntimeError("the DeepSpeed backend keeps no checkpoints")

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The whole model's weights on rank 0, empty elsewhere; all ranks must call."""
        if self.stage < 3:
            return dict(self.model.state_dict()) if self.leader else {}
        import deepspeed

        gathered: dict[str, torch.Tensor] = {}
        # one weight at a time, so that no rank ever holds the whole model on its device
        for name, parameter in self.model.named_parameters(remove_duplicate=False):
            with deepspeed.zero.GatheredParameters([parameter]):
                if self.leader:
                    gathered[name] = parameter.detach().cpu().clone()
        if self.leader:
            gathered.update(
                {n: b.detach().cpu() for n, b in self.model.named_buffers() if n in self.model.state_dict()}
            )
        return gathered

    def close(self) -> None:
        """Frees the engine; ZeRO-3 keeps models alive in a module variable (DeepSpeed issue 7204), so clear it."""
        from deepspeed.runtime.zero import parameter_offload

        self.engine.destroy()
        parameter_offload.FWD_MODULE_STACK.clear()
        self.engine = self.optimizer = self.model = None
        gc.collect()


def bytes_per_device(total: int, trained: int, largest_layer: int, devices: int, stage: int) -> float:
    """Bytes of weights, gradients and AdamW state per device in mixed precision, activations apart.

    ``total`` and ``trained`` count weights; LoRA trains few of many, which DeepSpeed's own estimators do not cover.
    Stage 0: 2P + 18T; 1: 2P + 6T + 12T/N; 2: 2P + 18T/N; 3: 2P/N + 16T/N + 4 x the largest layer (Rajbhandari et al.
    2020, with the gathered layer in fp32).
    """
    if stage == 0:
        return 2 * total + 18 * trained
    if stage == 1:
        return 2 * total + 6 * trained + 12 * trained / devices
    if stage == 2:
        return 2 * total + 18 * trained / devices
    return 2 * total / devices + 16 * trained / devices + 4 * largest_layer


def choose_stage(model: Any, devices: int, memory: float) -> int:
    """The first stage whose need is within 70 % of a device's memory in bytes (activations want the rest)."""
    total = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    largest = max(sum(p.numel() for p in m.parameters(recurse=False)) for m in model.modules())
    for stage in range(3):
        if bytes_per_device(total, trained, largest, devices, stage) <= 0.7 * memory:
            return stage
    return 3
