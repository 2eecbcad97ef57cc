"""A model on this machine opened for one job: what is the same for every family that trains and gives features."""

import dataclasses
import hashlib
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from autoadapt.domain.jobs import JobBase, Refit
from autoadapt.domain.method import Adapted, AdapterSpec, Answer, Context, Decoding, Model, Training, Weights
from autoadapt.domain.metric import answered_rows
from autoadapt.domain.model import ModelReference
from autoadapt.domain.params import HeadParams, TunedParams
from autoadapt.domain.rows import Row
from autoadapt.errors import UserError
from autoadapt.local_models.artifacts import Option, deployed_bytes
from autoadapt.local_models.feature_cache import CachedFeatures, cache_file, content_hash, features_of
from autoadapt.local_models.features import Features, compute_features
from autoadapt.local_models.heads import HEAD_FILE, HeadAnswerer, label_indices, label_members
from autoadapt.local_models.loading import LoadedModel, compute_dtype
from autoadapt.local_models.memory import device_memory
from autoadapt.local_models.texts import Encoded
from autoadapt.local_models.warm_models import WarmModels
from autoadapt.training.batches import HasTokens
from autoadapt.training.loop import Backend, Plan, Progress, seed_everything, train
from autoadapt.training.losses import Loss
from autoadapt.training.plain import PlainBackend
from autoadapt.training.settings import BackendSettings

M = TypeVar("M", bound=LoadedModel)
CACHE_FOLDER = "features"
"""In the run folder."""


@dataclass(frozen=True)
class Trainee:
    """A model made ready for training."""

    module: torch.nn.Module
    """What a backend trains: the weights with gradients."""
    model: Any
    """The base model within it, of peft where an adapter is trained."""
    examples: Sequence[HasTokens]
    loss: Loss
    answerer: Callable[[Training], Adapted]
    """The model as it answers at the moment."""
    write: Callable[[dict[str, torch.Tensor] | None], Callable[[Path], None]]
    """A function that writes the weights into a folder; given those of `module` where they had to be gathered."""
    stops_early: bool = True
    """Whether `answerer` may be asked during training, to stop it early."""


class OpenedLocalModel(Model, Generic[M]):
    """One job on one base model.

    Args:
        context: of the job.
        model: the base model.
        models: those this process keeps warm.
    """

    tuned: ClassVar[Decoding] = Decoding(tuned=True)
    """How answers are read off a trained model."""

    def __init__(self, context: Context, model: ModelReference, models: WarmModels[M]) -> None:
        self.context, self.base, self.models = context, model.place, models
        self.accelerator = context.devices.accelerator
        self.dtype = compute_dtype(context.job.training.precision, self.accelerator)

    @abstractmethod
    def trainee(self, lm: M, adapter: AdapterSpec | None) -> Trainee:
        """A model with what is trained of it."""

    @abstractmethod
    def finished(self, option: Option, training: Training) -> Adapted:
        """An option of this job as it was saved."""

    @abstractmethod
    def reader(self, lm: M) -> Callable[[str], Encoded]:
        """Token ids of an input alone, without any prompt."""

    def tune(self, params: TunedParams, adapter: AdapterSpec | None) -> Adapted:
        context = self.context
        seed_everything(context.job.seed)
        if context.job.training.engine == "deepspeed" or context.world > 1:
            return self._tune_deepspeed(params, adapter)
        # all weights are trained in fp32; a frozen model below an adapter need not be
        lm = self.models.take(self.base, self.accelerator, torch.float32 if adapter is None else self.dtype)
        return self.train_here(params, lm, self.trainee(lm, adapter), "full" if adapter is None else "adapter")

    def train_here(self, params: TunedParams, lm: M, trainee: Trainee, weights: Weights) -> Adapted:
        """Trains in this process alone, saves the artifact of the last rung, and answers.

        Args:
            params: of the training loop.
            lm: taken from the warm models; in single precision where all of its weights are trained.
            trainee: `lm` made ready for training.
            weights: what the artifact holds.
        """
        context = self.context
        backend = PlainBackend(trainee.module, self._backend_settings(trainee, params, self.dtype))
        trained = list(backend.trained.values())
        progress = self._train(params, lm, trainee, backend)
        backend.close()
        if weights == "full":
            lm.model.to(self.dtype)  # trained in fp32, served like every other option
        # what the finished option will take, before there is one
        size = sum(p.numel() * p.element_size() for p in trained)
        if not context.keeps_checkpoint:
            context.save_artifact(self.tuned, weights, trainee.write(None))
            size = deployed_bytes(context.artifact, weights, context.job.prompt)
        if weights == "adapter":
            lm.model = trainee.model.merge_and_unload()
        return trainee.answerer(_training(progress, sum(p.numel() for p in trained), size))

    def fit_head(self, params: HeadParams) -> Adapted:
        """Fits a classifier to features that all trials of a run share.

        The seconds of training are those that computing the features of the training rows took once, also where they
        were there already, and those of the fit: what an option costs does not depend on which trial came first.
        """
        from autoadapt.local_models.logistic_regression import fit_head

        context, job = self.context, self.context.job
        labels = job.labels or []
        lm = self.models.borrow(self.base, self.accelerator, self.dtype)
        rows = context.training_rows()
        cached = self.features_of_rows(lm, params)
        begun = time.perf_counter()
        targets = label_targets(job, rows)
        head = fit_head(cached.vectors, targets, len(labels), params).to(lm.device)
        seconds = float(cached.seconds.sum()) + time.perf_counter() - begun
        context.save_artifact(Decoding(), "head", head.write)
        training = Training(
            seconds=seconds,
            tokens=int(cached.tokens.sum()),
            parameters_trained=sum(p.numel() for p in head.parameters()),
            artifact_bytes=(context.artifact / HEAD_FILE).stat().st_size,
        )
        return HeadAnswerer(lm, head, self.reader(lm), labels, training=training, tick=context.tick)

    def features_of_rows(self, lm: M, params: HeadParams) -> CachedFeatures:
        """Features of the rows that a job learns from: of its splits, and of the rows that a teacher has labelled."""
        own = self.cached_features(lm, params).first(len(self.context.labelled_rows()))
        taught = [row.input for row in self.context.teacher_rows()]
        return own.followed_by(self.cached_features(lm, params, taught)) if taught else own

    def cached_features(self, lm: M, params: HeadParams, texts: Sequence[str] = ()) -> CachedFeatures:
        """Features of texts, shared by all trials of the run; by default of the job's splits, of which some jobs use
        the first rows alone."""
        context, job = self.context, self.context.job
        splits = job.splits if isinstance(job, Refit) else ("train",)
        texts = texts or [row.input for split in splits for row in context.rows(split)]
        features, read = Features(lm, params.pooling, params.depth), self.reader(lm)

        def compute(known: frozenset[int]) -> Iterator[CachedFeatures]:
            return compute_features(features, [read(text) for text in texts], context.tick, known)

        described = {
            "model": content_hash(Path(self.base)),
            "pooling": params.pooling,
            "layers": features.layers,
            "columns": job.input_columns,
            "numbers": f"{self.dtype} {self.accelerator} {context.devices.kind}",
            "texts": hashlib.sha256("\0".join(texts).encode()).hexdigest(),
        }
        return features_of(cache_file(context.run / CACHE_FOLDER, described), compute, context.tick)

    def _tune_deepspeed(self, params: TunedParams, adapter: AdapterSpec | None) -> Adapted:
        """Trains on all ranks; rank 0 answers with the weights as they were saved, the others hold nothing more."""
        context = self.context
        self.models.drop()
        # on CPU the ranks talk through gloo, where bf16 gains nothing
        dtype = self.dtype if self.accelerator == "cuda" else torch.float32
        lm = self.models.load(self.base, self.accelerator, dtype, on_host=True)
        trainee = self.trainee(lm, adapter)
        trained = sum(p.numel() for p in trainee.module.parameters() if p.requires_grad)
        total = lm.parameters
        weights: Weights = "full" if adapter is None else "adapter"
        backend = self._zero_backend(trainee, lm, params, dtype)
        progress = self._train(params, lm, trainee, backend)
        gathered, leader = backend.state_dict(), backend.leader
        option = Option(context.artifact, weights, self.base, context.job.training.precision)
        if leader:  # these weights answer, so that they are saved at every rung
            context.save_artifact(self.tuned, option.weights, trainee.write(gathered))
        backend.close()
        self.models.drop()
        if not leader:
            return Follower(_training(progress, trained, 0), total, self.models)
        del lm, trainee, gathered, backend
        size = deployed_bytes(option.folder, option.weights, context.job.prompt)
        return self.finished(option, _training(progress, trained, size))

    def _zero_backend(self, trainee: Trainee, lm: M, params: TunedParams, dtype: torch.dtype) -> Any:
        from autoadapt.training.deepspeed_backend import ZeroBackend, choose_stage

        context, stage, module = self.context, self.context.job.training.zero_stage, trainee.module
        chosen = choose_stage(module, context.world, device_memory(lm.device)) if stage == "auto" else int(stage)
        self.models.used_stage_3 = self.models.used_stage_3 or chosen == 3
        return ZeroBackend(
            module,
            self._backend_settings(trainee, params, dtype),
            stage=chosen,
            rank=context.rank,
            world=context.world,
        )

    def _backend_settings(self, trainee: Trainee, params: TunedParams, dtype: torch.dtype) -> BackendSettings:
        return BackendSettings(
            loss=trainee.loss,
            weight_decay=params.weight_decay,
            micro_batches=self.context.job.training.micro_batches,
            dtype=dtype,
        )

    def _train(self, params: TunedParams, lm: M, trainee: Trainee, backend: Backend) -> Progress:
        context = self.context
        if len(trainee.examples) < 2:
            raise UserError("fewer than 2 training rows fit the model's context")
        dev = context.rows("dev")

        def dev_score() -> float:
            with torch.autocast(lm.device.type, torch.bfloat16, enabled=self.dtype != torch.float32):
                answerer = trainee.answerer(Training())
                answerer.prepare([row.input for row in dev])
                value = metric_value(context, answerer, dev)
            trainee.module.train()
            return value

        trainee.module.train()
        plan = Plan(
            examples=trainee.examples,
            params=params,
            seed=context.job.seed,
            share=context.share_of_steps,
            seconds=context.training_seconds,
            least_share=context.least_share_of_steps,
            folder=context.state,
            keep_checkpoint=context.keeps_checkpoint,
            dev_score=dev_score if trainee.stops_early and context.metric.early_stopping else None,
            tick=context.tick,
            should_end=context.training_should_end,
            steps=context.training_steps,
        )
        return train(backend, plan)


def label_targets(job: JobBase, rows: Sequence[Row]) -> NDArray[Any]:
    """What a classifier learns of rows: the index of each label, or 0 or 1 for every label, shape (rows, labels)."""
    numbers = label_members if job.multi_label else label_indices
    return numbers(job.labels or [], [row.outputs[0] for row in rows])


def metric_value(context: Context, adapted: Adapted, rows: Sequence[Row]) -> float:
    """The task's metric over rows, from 0 to 1."""
    predictions = [answer.text for answer in adapted.answer([row.input for row in rows])]
    scores = context.metric.score(answered_rows(rows, predictions, context.job.labels))
    return context.metric.value(np.array(scores.stats))


@dataclasses.dataclass
class Follower:
    """What ranks other than 0 hold after training: nothing that answers."""

    training: Training
    parameters_total: int
    models: WarmModels[Any]

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
        steps_planned=progress.steps_planned,
        parameters_trained=trained,
        artifact_bytes=artifact_bytes,
    )
