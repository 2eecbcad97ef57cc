"""A causal language model opened for one job: behind a prompt as it is, or trained."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from autoadapt.domain.method import Adapted, AdapterSpec, Answer, Context, Decoding, Model, Training, Weights
from autoadapt.domain.metric import answered_rows
from autoadapt.domain.model import ModelReference
from autoadapt.domain.params import TunedParams
from autoadapt.domain.rows import Row
from autoadapt.errors import UserError
from autoadapt.models.causal_lm.adapters import make_trainable
from autoadapt.models.causal_lm.encoding import Encoder
from autoadapt.models.causal_lm.examples import make_examples
from autoadapt.models.causal_lm.language_model import LanguageModel, compute_dtype
from autoadapt.models.causal_lm.memory import device_memory
from autoadapt.models.causal_lm.options import Option, deployed_bytes, load_weights, write_weights
from autoadapt.models.causal_lm.prompted import make_answerer, make_encoder
from autoadapt.models.causal_lm.warm_models import WarmModels
from autoadapt.training.loop import Backend, Plan, Progress, seed_everything, train
from autoadapt.training.plain import PlainBackend
from autoadapt.training.settings import BackendSettings

TUNED = Decoding(tuned=True)
"""How answers are read off a trained model."""


class OpenedCausalLm(Model):
    """One job on one base model.

    Args:
        context: of the job.
        model: the base model.
        models: those this process keeps warm.
    """

    def __init__(self, context: Context, model: ModelReference, models: WarmModels) -> None:
        self.context, self.base, self.models = context, model.place, models
        self.accelerator = context.devices.accelerator
        self.dtype = compute_dtype(context.job.training.precision, self.accelerator)

    def prompt(self, decoding: Decoding) -> Adapted:
        job, context = self.context.job, self.context
        lm = self.models.borrow(self.base, self.accelerator, self.dtype)
        context.save_artifact(decoding)
        training = Training(artifact_bytes=deployed_bytes(context.artifact, "none", job.prompt))
        encoder = make_encoder(lm, job, context.select, decoding.tuned)
        return make_answerer(lm, encoder, job, decoding, training, context.tick)

    def tune(self, params: TunedParams, adapter: AdapterSpec | None) -> Adapted:
        context = self.context
        seed_everything(context.job.seed)
        if context.job.training.engine == "deepspeed" or context.world > 1:
            return self._tune_deepspeed(params, adapter)
        # all weights are trained in fp32; a frozen model below an adapter need not be
        lm = self.models.take(self.base, self.accelerator, torch.float32 if adapter is None else self.dtype)
        encoder = make_encoder(lm, context.job, context.select, tuned=True)
        model = make_trainable(lm, adapter)
        backend = PlainBackend(model, self._backend_settings(lm, params, self.dtype))
        trained = sum(p.numel() for p in backend.trained.values())
        progress = self._train(params, lm, encoder, backend)
        backend.close()
        if adapter is None:
            lm.model.to(self.dtype)  # trained in fp32, served like every other option
        weights: Weights = "full" if adapter is None else "adapter"
        # what the finished option will take, before there is one
        size = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
        if not context.keeps_checkpoint:
            context.save_artifact(TUNED, weights, write_weights(model, lm.tokenizer))
            size = deployed_bytes(context.artifact, weights, context.job.prompt)
        if adapter is not None:
            lm.model = model.merge_and_unload()
        training = _training(progress, trained, size)
        return make_answerer(lm, encoder, context.job, TUNED, training, context.tick)

    def _tune_deepspeed(self, params: TunedParams, adapter: AdapterSpec | None) -> Adapted:
        """Trains on all ranks; rank 0 answers with the weights as they were saved, the others hold nothing more."""
        context = self.context
        self.models.drop()
        # on CPU the ranks talk through gloo, where bf16 gains nothing
        dtype = self.dtype if self.accelerator == "cuda" else torch.float32
        lm = self.models.load(self.base, self.accelerator, dtype, on_host=True)
        encoder = make_encoder(lm, context.job, context.select, tuned=True)
        model = make_trainable(lm, adapter)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        total = lm.parameters
        weights: Weights = "full" if adapter is None else "adapter"
        backend = self._zero_backend(model, lm, params, dtype)
        progress = self._train(params, lm, encoder, backend)
        gathered, leader = backend.state_dict(), backend.leader
        option = Option(context.artifact, weights, self.base, context.job.training.precision)
        if leader:  # these weights answer, so that they are saved at every rung
            context.save_artifact(TUNED, option.weights, write_weights(model, lm.tokenizer, gathered))
        backend.close()
        self.models.drop()
        if not leader:
            return _Follower(_training(progress, trained, 0), total, self.models)
        del lm, model, gathered, backend
        size = deployed_bytes(option.folder, option.weights, context.job.prompt)
        lm = load_weights(self.models, option, context.devices)
        encoder = make_encoder(lm, context.job, context.select, tuned=True)
        return make_answerer(lm, encoder, context.job, TUNED, _training(progress, trained, size), context.tick)

    def _zero_backend(self, model: Any, lm: LanguageModel, params: TunedParams, dtype: torch.dtype) -> Any:
        from autoadapt.training.deepspeed_backend import ZeroBackend, choose_stage

        context, stage = self.context, self.context.job.training.zero_stage
        chosen = choose_stage(model, context.world, device_memory(lm.device)) if stage == "auto" else int(stage)
        self.models.used_stage_3 = self.models.used_stage_3 or chosen == 3
        return ZeroBackend(
            model,
            self._backend_settings(lm, params, dtype),
            stage=chosen,
            rank=context.rank,
            world=context.world,
        )

    def _backend_settings(self, lm: LanguageModel, params: TunedParams, dtype: torch.dtype) -> BackendSettings:
        return BackendSettings(
            pad=lm.tokenizer.pad_token_id,
            weight_decay=params.weight_decay,
            micro_batches=self.context.job.training.micro_batches,
            keeps_logits=lm.keeps_logits,
            dtype=dtype,
        )

    def _train(self, params: TunedParams, lm: LanguageModel, encoder: Encoder, backend: Backend) -> Progress:
        context = self.context
        examples = make_examples(encoder, context.training_rows(), lm.context_length)
        if len(examples) < 2:
            raise UserError("fewer than 2 training rows fit the model's context")
        dev = context.rows("dev")

        def dev_score() -> float:
            with torch.autocast(lm.device.type, torch.bfloat16, enabled=self.dtype != torch.float32):
                answerer = make_answerer(lm, encoder, context.job, TUNED, Training(), context.tick)
                answerer.prepare([row.input for row in dev])
                value = metric_value(context, answerer, dev)
            lm.model.train()
            return value

        lm.model.train()
        plan = Plan(
            examples=examples,
            params=params,
            seed=context.job.seed,
            share=context.share_of_steps,
            folder=context.state,
            keep_checkpoint=context.keeps_checkpoint,
            dev_score=dev_score if context.metric.early_stopping else None,
            tick=context.tick,
        )
        return train(backend, plan)


def metric_value(context: Context, adapted: Adapted, rows: Sequence[Row]) -> float:
    """The task's metric over rows, from 0 to 1."""
    predictions = [answer.text for answer in adapted.answer([row.input for row in rows])]
    scores = context.metric.score(answered_rows(rows, predictions, context.job.labels))
    return context.metric.value(np.array(scores.stats))


@dataclasses.dataclass
class _Follower:
    """What ranks other than 0 hold after training: nothing that answers."""

    training: Training
    parameters_total: int
    models: WarmModels

    def prepare(self, inputs: Sequence[str]) -> int:
        return 0

    def answer(self, inputs: Sequence[str]) -> list[Answer]:
        return []

    def close(self) -> None:
        self.models.drop()


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
