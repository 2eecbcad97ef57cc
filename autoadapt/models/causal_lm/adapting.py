"""What methods call: adapt the base model by a prompt alone, or by training, and give back something that answers."""

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autoadapt.domain.params import TunedParams
from autoadapt.domain.plugins import Adapted, Context, Training
from autoadapt.errors import UserError
from autoadapt.models.causal_lm import language_model
from autoadapt.models.causal_lm.answering import Answerer
from autoadapt.models.causal_lm.encoding import Encoder
from autoadapt.models.causal_lm.language_model import LanguageModel
from autoadapt.prompts.rendering import Prompt
from autoadapt.training import checkpoints
from autoadapt.training.batches import make_examples
from autoadapt.training.loop import Plan, Progress, seed_everything, train
from autoadapt.training.plain import PlainBackend

ATTENTION = (
    r".*\.(q_proj|k_proj|v_proj|o_proj|qkv_proj|query|key|value|query_key_value|c_attn|Wqkv|q_lin|k_lin|v_lin|out_lin)"
)
CHECKPOINTED_ACTIVATIONS = 1_000_000_000
"""Parameters above which activations are computed again in the backward pass instead of being kept."""


def prompt(context: Context, params: Any) -> Adapted:
    """The base model as it is, behind a prompt."""
    lm = language_model.borrow(context.step.model_path, context.devices.accelerator, _dtype(context))
    encoder = _encoder(context, lm, tuned=False)
    text = json.dumps({"template": context.step.template, "instruction": context.step.instruction})
    training = Training(artifact_bytes=len(text.encode()))
    return _answerer(context, lm, encoder, training, label_score=params.label_score, num_beams=params.num_beams)


def tune(context: Context, params: TunedParams, adapter: dict[str, Any] | None) -> Adapted:
    """Trains the model, or a LoRA adapter on it, and answers with the result.

    Args:
        context: the step; on other splits than validation the finished artifact is loaded instead.
        params: of the training loop.
        adapter: arguments of peft's LoraConfig; None trains every weight.

    Raises:
        UserError: the model has no module the adapter could sit on.
        LossNotFiniteError: training diverged.
    """
    step, folder = context.step, context.state / "model"
    if not step.fits:
        if not checkpoints.is_complete(folder):
            raise UserError(f"the weights of trial {step.trial} are missing or damaged: {folder}")
        return _load_artifact(context, folder, adapter is not None)
    seed_everything(step.seed)
    if step.engine == "deepspeed" or context.world > 1:
        return _tune_deepspeed(context, params, adapter, folder)
    dtype = _dtype(context)
    # all weights are trained in fp32; a frozen model below an adapter need not be
    lm = language_model.take(step.model_path, context.devices.accelerator, torch.float32 if adapter is None else dtype)
    encoder = _encoder(context, lm, tuned=True)
    model = _trainable(lm, adapter)
    backend = PlainBackend(
        model, lm.tokenizer.pad_token_id, params.weight_decay, step.micro_batches, lm.keeps_logits, dtype
    )
    trained = sum(p.numel() for p in backend.trained.values())
    progress = _train(context, params, lm, encoder, backend)
    backend.close()
    if adapter is None:
        lm.model.to(dtype)  # trained in fp32, served like every other option
    if not step.keep_checkpoint:
        _save_artifact(folder, model, lm, None)
    if adapter is not None:
        lm.model = model.merge_and_unload()
    training = _training(progress, trained, _artifact_bytes(folder))
    return _answerer(context, lm, encoder, training)


def _tune_deepspeed(context: Context, params: TunedParams, adapter: dict[str, Any] | None, folder: Path) -> Adapted:
    """Trains on all ranks; rank 0 answers with the weights as they were saved, the others hold nothing more."""
    from autoadapt.training.deepspeed_backend import ZeroBackend, choose_stage

    step = context.step
    language_model.drop()
    # on CPU the ranks talk through gloo, where bf16 gains nothing
    dtype = _dtype(context) if context.devices.accelerator == "cuda" else torch.float32
    lm = language_model.load(step.model_path, context.devices.accelerator, dtype, on_host=True)
    encoder = _encoder(context, lm, tuned=True)
    model = _trainable(lm, adapter)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = lm.parameters
    stage = step.zero_stage
    if stage == "auto":
        stage = choose_stage(model, context.world, _device_memory(lm.device))  # type: ignore[assignment]
    backend = ZeroBackend(
        model,
        lm.tokenizer.pad_token_id,
        params.weight_decay,
        step.micro_batches,
        lm.keeps_logits,
        dtype,
        stage=int(stage),
        rank=context.rank,
        world=context.world,
    )
    progress = _train(context, params, lm, encoder, backend)
    weights = backend.state_dict()
    leader = backend.leader
    if leader:
        _save_artifact(folder, model, lm, weights)
    backend.close()
    language_model.drop()
    training = _training(progress, trained, _artifact_bytes(folder) if leader else 0)
    if not leader:
        return _Follower(training, total)
    del lm, model, weights, backend
    return _load_artifact(context, folder, adapter is not None, training)


class _Follower:
    """What ranks other than 0 hold after training: nothing that answers."""

    def __init__(self, training: Training, parameters_total: int) -> None:
        self.training, self.parameters_total = training, parameters_total

    def prepare(self, inputs: Any) -> int:
        return 0

    def answer(self, inputs: Any) -> list[Any]:
        return []

    def close(self) -> None:
        language_model.drop()


def _train(context: Context, params: TunedParams, lm: LanguageModel, encoder: Encoder, backend: Any) -> Progress:
    step = context.step
    examples = make_examples(encoder, context.rows("train", step.train_rows), lm.context_length)
    if len(examples) < 2:
        raise UserError("fewer than 2 training rows fit the model's context")
    dev = context.rows("dev")
    inputs = [row.input for row in dev]

    def dev_score() -> float:
        lower = _dtype(context) != torch.float32
        with torch.autocast(lm.device.type, torch.bfloat16, enabled=lower):
            answerer = _answerer(context, lm, encoder, Training())
            answerer.prepare(inputs)
            value = score(context, answerer, dev)
        lm.model.train()
        return value

    lm.model.train()
    plan = Plan(
        examples=examples,
        params=params,
        seed=step.seed,
        share=step.fidelity.steps,
        folder=context.state,
        keep_checkpoint=step.keep_checkpoint,
        dev_score=dev_score,
        tick=context.tick,
    )
    return train(backend, plan)


def score(context: Context, answerer: Adapted, rows: list[Any]) -> float:
    """The task's metric over rows, from 0 to 1."""
    metric, labels = context.metric, context.step.labels or []
    if metric is None:
        raise TypeError("a context for training needs the task's metric")
    answers = answerer.answer([row.input for row in rows])
    stats = [metric.row(a.text, row.outputs, labels) for a, row in zip(answers, rows, strict=True)]
    return metric.value(np.array(stats))


def _dtype(context: Context) -> torch.dtype:
    return language_model.compute_dtype(context.step.precision, context.devices.accelerator)


def _encoder(context: Context, lm: LanguageModel, tuned: bool) -> Encoder:
    step = context.step
    template = Prompt(step.template, step.instruction, step.labels or [])
    room = step.evaluation.max_new_tokens
    if step.labels:
        probe = Encoder(lm, template, None, 0, tuned)
        room = max(len(probe.answer(label)) for label in step.labels)
    return Encoder(lm, template, context.select, room, tuned)


def _answerer(context: Context, lm: LanguageModel, encoder: Encoder, training: Training, **options: Any) -> Answerer:
    return Answerer(
        lm,
        encoder,
        context.step.labels or [],
        max_new_tokens=context.step.evaluation.max_new_tokens,
        training=training,
        tick=context.tick,
        **options,
    )


def _trainable(lm: LanguageModel, adapter: dict[str, Any] | None) -> Any:
    """The model with gradients on all weights, or a LoRA adapter on frozen ones."""
    if lm.parameters > CHECKPOINTED_ACTIVATIONS:
        lm.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        lm.model.enable_input_require_grads()
    if adapter is None:
        return lm.model.requires_grad_(True)
    from peft import LoraConfig, get_peft_model

    target = ATTENTION if adapter["target_modules"] == "attention" else adapter["target_modules"]
    try:
        return get_peft_model(lm.model, LoraConfig(task_type="CAUSAL_LM", **{**adapter, "target_modules": target}))
    except ValueError as error:
        linear = sorted({n.split(".")[-1] for n, m in lm.model.named_modules() if isinstance(m, torch.nn.Linear)})
        raise UserError(
            f"LoRA target_modules {adapter['target_modules']} matches no layer of this model; "
            f"its linear layers are called {', '.join(linear) or 'nothing: it has none'} ({error})"
        ) from error


def _save_artifact(folder: Path, model: Any, lm: LanguageModel, weights: dict[str, torch.Tensor] | None) -> None:
    """Writes adapter or model as safetensors; `weights` where they had to be gathered from ranks."""

    def fill(target: Path) -> None:
        # save_pretrained empties the dict it is given, hence a copy
        model.save_pretrained(target, state_dict=dict(weights) if weights is not None else None)
        lm.tokenizer.save_pretrained(target)

    checkpoints.write_folder(folder, fill)


def _artifact_bytes(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.glob("*.safetensors"))


def _load_artifact(context: Context, folder: Path, is_adapter: bool, training: Training | None = None) -> Adapted:
    accelerator = context.devices.accelerator
    if is_adapter:
        from peft import PeftModel

        lm = language_model.take(context.step.model_path, accelerator, _dtype(context))
        lm.model = PeftModel.from_pretrained(lm.model, str(folder)).merge_and_unload()
    else:
        language_model.drop()
        lm = language_model.load(str(folder), accelerator, _dtype(context))
    encoder = _encoder(context, lm, tuned=True)
    return _answerer(context, lm, encoder, training or Training(artifact_bytes=_artifact_bytes(folder)))


def _training(progress: Progress, trained: int, artifact_bytes: int) -> Training:
    return Training(
        seconds=progress.seconds,
        steps=progress.step,
        tokens=progress.tokens,
        loss=progress.loss_curve,
        step_seconds=float(np.median(progress.step_seconds)) if progress.step_seconds else 0.0,
        stopped_early=progress.stopped_early,
        parameters_trained=trained,
        artifact_bytes=artifact_bytes,
    )


def _device_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    import psutil

    return float(psutil.virtual_memory().total)


def timed(function: Callable[[], Any], device: str) -> tuple[Any, float]:
    """Result and wall-clock seconds of a call, with the device's queue empty before and after."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    result = function()
    if device == "cuda":
        torch.cuda.synchronize()
    return result, time.perf_counter() - start


def reset_peak_memory(device: str) -> None:
    """Begins a new measurement of peak memory."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        with contextlib.suppress(OSError):  # not every container lets a process reset its own peak
            Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: str) -> int:
    """GPU: peak allocated bytes since the reset; CPU: peak resident set of this process since then."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
