"""The one training loop, of adapters and of full fine-tuning, of whatever loss, over either backend.

A job trains up to a share of the whole schedule and stops there; a later job of the same trial continues from its
checkpoint with the same rates, the same order of rows and the same dropout, so that training in two parts equals
training in one.
"""

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from autoadapt.domain.params import TunedParams
from autoadapt.errors import TooSlowError
from autoadapt.training import checkpoints
from autoadapt.training.batches import HasTokens, learning_rate, schedule

SAVE_EVERY_SECONDS = (60.0, 600.0)
"""A checkpoint is written after so many seconds at least, and at most."""
SAVING_SHARE = 0.05
"""Between these limits, the share of the time of training that writing checkpoints may take."""
PATIENCE = 2


class LossNotFiniteError(FloatingPointError):
    """The loss became NaN or infinite."""


class Backend(Protocol):
    """What the loop needs of a backend; see `autoadapt.training.plain.PlainBackend`."""

    resumes: bool
    leader: bool

    def step(self, examples: Sequence[HasTokens], rate: float) -> float: ...
    def agree(self, value: float) -> float: ...
    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...


@dataclass
class Progress:
    """How far a training is; what a checkpoint holds in addition to weights."""

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    loss: list[float] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)
    dev: list[float] = field(default_factory=list)
    stopped_early: bool = False
    steps_planned: int = 0
    """Steps that were to be done by the end of the last job."""

    @property
    def loss_curve(self) -> tuple[float, ...]:
        """Mean loss of each tenth of the steps done."""
        parts = np.array_split(np.array(self.loss), min(10, max(1, len(self.loss))))
        return tuple(float(p.mean()) for p in parts if len(p))


@dataclass(frozen=True)
class Plan:
    """A training to be done."""

    examples: Sequence[HasTokens]
    params: TunedParams
    seed: int
    share: float
    """Share of the whole schedule at which to stop."""
    seconds: float | None
    """Longest time of this job's training; None: no limit."""
    least_share: float
    """Of the steps that are to be done: where the time does not suffice for so many, training ends at once."""
    folder: Path
    """Where checkpoints go."""
    keep_checkpoint: bool
    """Whether to leave one at the end, for a later job."""
    dev_score: Callable[[], float] | None
    """The task's metric on rows kept for early stopping; None: training never stops early."""
    tick: Callable[[], None]
    steps: int | None = None
    """Steps of the whole schedule, for which passes are repeated or cut short; None: as many as the epochs come to."""
    should_end: Callable[[], bool] = lambda: False
    """Whether to save a checkpoint, where the backend keeps one, and to end."""


def train(backend: Backend, plan: Plan) -> Progress:
    """Trains up to the plan's share; stops earlier when two epochs in a row have not raised the metric.

    The metric is computed from half of the schedule on: while the rate is high, it may stay at chance and then leap.
    Where time is short, the schedule runs by the clock: the rate falls as fast as the time passes, so that it has come
    down when time is up (budgeted training, Li, Yumer and Ramanan 2020).

    Raises:
        LossNotFiniteError: within the step in which it happens.
        KeyboardInterrupt: the plan asked to end; what was trained is in a checkpoint where the backend keeps one.
        TooSlowError: after two steps, of which the second shows that time is too short for `Plan.least_share` of them.
    """
    params = plan.params
    batches = schedule(plan.examples, params.batch_size, params.num_train_epochs, plan.seed, plan.steps)
    # where the number of steps is given, an epoch is as many steps as one over all rows
    per_epoch = max(1, len(batches) // params.num_train_epochs)
    end = max(1, round(len(batches) * plan.share))
    progress = _resume(backend, plan)
    progress.steps_planned, first = end, progress.step
    started, before = time.monotonic(), progress.seconds
    clock, saves = _Clock(plan, first, end, len(batches)), _Saves()
    while progress.step < end and not progress.stopped_early:
        step, begun = progress.step, time.monotonic()
        due = clock.due(step, 0.0 if plan.seconds is None else backend.agree(begun - started))
        if due is None:
            break
        _seed_step(plan.seed, step)
        examples = [plan.examples[i] for i in batches[step]]
        rate = learning_rate(due, len(batches), params.learning_rate, params.warmup_ratio)
        loss = backend.step(examples, rate)
        if not np.isfinite(loss):
            raise LossNotFiniteError(f"the loss became {loss} at step {step + 1} of {len(batches)} (rate {rate:.2g})")
        progress.loss.append(loss)
        progress.step_seconds.append(time.monotonic() - begun)
        progress.step += 1
        progress.tokens += sum(len(e.ids) for e in examples)
        plan.tick()
        half_done = len(batches) / 2 <= max(due, progress.step) and progress.step < len(batches)
        if plan.dev_score is not None and progress.step % per_epoch == 0 and half_done:
            progress.dev.append(plan.dev_score())
            progress.stopped_early = bool(backend.agree(_stale(progress.dev)))
        progress.seconds = before + time.monotonic() - started
        should_end = plan.should_end()
        if backend.resumes and (should_end or saves.due()):
            saves.save(backend, plan, progress)
        if should_end:
            raise KeyboardInterrupt
    if backend.resumes and plan.keep_checkpoint:
        _save(backend, plan, progress)
    return progress


class _Saves:
    """When checkpoints are written during a training."""

    def __init__(self) -> None:
        self._last, self._took = time.monotonic(), 0.0

    def due(self) -> bool:
        """Whether the last checkpoint is so old that another one is worth its time."""
        least, most = SAVE_EVERY_SECONDS
        return time.monotonic() - self._last > min(most, max(least, self._took / SAVING_SHARE))

    def save(self, backend: Backend, plan: Plan, progress: Progress) -> None:
        """Writes one."""
        begun = time.monotonic()
        _save(backend, plan, progress)
        self._last = time.monotonic()
        self._took = self._last - begun


class _Clock:
    """Where a training stands in its schedule, by its steps and by its time.

    Args:
        plan: states the time.
        first: step from which this job goes on.
        end: step at which it ends.
        steps: of the whole schedule.
    """

    def __init__(self, plan: Plan, first: int, end: int, steps: int) -> None:
        self._plan, self._first, self._end, self._steps = plan, first, end, steps
        self._first_step = 0.0
        """Seconds of the first step, which allocates memory and says less than others."""

    def due(self, step: int, passed: float) -> float | None:
        """The place in the schedule, in steps; None: the next step would end too late.

        Args:
            step: that comes next.
            passed: seconds of this job's training, the same on all ranks.

        Raises:
            TooSlowError: after two steps, of which the second shows that too few fit into the time.
        """
        seconds, done = self._plan.seconds, step - self._first
        if seconds is None:
            return step
        if done and passed * (done + 1) / done > seconds:
            return None
        if done == 1:
            self._first_step = passed
        if done == 2:
            self._check_speed(seconds, passed - self._first_step)
        return max(step, self._first + (self._end - self._first) * passed / seconds)

    def _check_speed(self, seconds: float, step_seconds: float) -> None:
        fit, planned = seconds / step_seconds, self._end - self._first
        if fit < self._plan.least_share * planned:
            raise TooSlowError(
                f"a step takes {step_seconds:.3g} s: {fit:.0f} of {planned} steps would fit into {seconds:.0f} s",
                step_seconds * self._steps,
            )


def _stale(scores: list[float]) -> bool:
    """Whether the last PATIENCE scores are no better than the best before them."""
    return len(scores) > PATIENCE and max(scores[-PATIENCE:]) <= max(scores[:-PATIENCE])


def _seed_step(seed: int, step: int) -> None:
    # dropout of a step depends on the step alone, so that a resumed training repeats it
    torch.manual_seed((seed * 1_000_003 + step) % 2**63)


def _save(backend: Backend, plan: Plan, progress: Progress) -> None:
    def fill(folder: Path) -> None:
        backend.save(folder)
        (folder / "progress.json").write_text(json.dumps(vars(progress)))

    checkpoints.write(plan.folder / f"checkpoint-{progress.step:07d}", fill)
    checkpoints.keep_newest(plan.folder, 2)


def _resume(backend: Backend, plan: Plan) -> Progress:
    folder = checkpoints.latest(plan.folder) if backend.resumes else None
    if folder is None:
        return Progress()
    backend.load(folder)
    progress = Progress(**json.loads((folder / "progress.json").read_text()))
    print(f"resumed from {folder.name}")  # noqa: T201 - the trial's log
    return progress


def seed_everything(seed: int) -> None:
    """Seeds Python, numpy and torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
