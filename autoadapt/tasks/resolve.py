"""Every name in a task resolved before anything is spent: metric, methods, models, space, prompts, data, executor."""

import contextlib
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoadapt.files import write_atomic
from autoadapt.domain.plugins import Executor, Metric, Sampler
from autoadapt.domain.task import Task
from autoadapt.domain.trial import Candidate, Devices, Fidelity, Step, seed_of
from autoadapt.model_files import find_model
from autoadapt.prompts.rendering import check_prompt
from autoadapt.errors import Exit, UserError
from autoadapt.registry import Registry
from autoadapt.tasks.prices import look_up
from autoadapt.tasks.space import JointSpace, load_space
from autoadapt.tasks.splits import Splits, make_splits
from autoadapt.tasks.yaml_files import Document, parse
from autoadapt.worker.run import METHODS, METRICS

EXECUTORS = Registry("executor", "autoadapt.executors", Executor)  # type: ignore[type-abstract]
SAMPLERS = Registry("sampler", "autoadapt.samplers", Sampler)  # type: ignore[type-abstract]

PACKAGES = ("autoadapt", "torch", "transformers", "peft", "datasets", "deepspeed", "optuna")

SAFE_TO_CHANGE = {"load_requests", "load_seconds", "learning_curve", "seeds"}
"""Of a task's `evaluation`: what no trial of the search depends on."""


@dataclass(frozen=True)
class Resolved:
    """A task with everything its names stand for."""

    task: Task
    metric: Metric
    space: JointSpace
    splits: Splits
    models: dict[str, Path]
    """Name in the task -> folder."""
    price_source: str = "given in the task"
    """Where the price of a device-hour comes from."""
    warnings: tuple[str, ...] = ()
    """Of old prices."""

    def identity(self) -> dict[str, Any]:
        """What may not change when a study is resumed, as JSON values; hashes stand for long texts."""
        task, space = self.task, self.space.space
        return {
            "metric": task.metric,
            "models": list(task.models),
            "methods": list(task.methods),
            "search_space": _sha(space.model_dump_json(exclude={"templates", "instructions"})),
            "templates": {name: _sha(text) for name, text in space.templates.items()},
            "instructions": {name: _sha(text) for name, text in space.instructions.items()},
            "data": self.splits.hashes(),
            "labels": self.splits.labels,
            "evaluation": task.evaluation.model_dump(mode="json", exclude=SAFE_TO_CHANGE),
            "rungs": task.search.rungs,
            "seed": task.seed,
        }

    def step(self, trial: int, candidate: Candidate, fidelity: Fidelity, state_folder: str) -> Step:
        """The first try of a trial's first rung on validation rows; what differs is changed in a copy.

        Args:
            trial: its number.
            candidate: what is run.
            fidelity: how much of the work.
            state_folder: run-relative folder for what outlives the step.
        """
        task, space = self.task, self.space.space
        return Step(
            trial=trial,
            rung=0,
            attempt=0,
            split="validation",
            candidate=candidate,
            model_path=str(self.models[candidate.model]),
            metric=task.metric,
            labels=self.splits.labels,
            template=space.templates[str(candidate.params["template"])],
            instruction=space.instructions[str(candidate.params["instruction"])],
            evaluation=task.evaluation,
            fidelity=fidelity,
            seed=seed_of(task.seed, trial),
            engine=task.compute.training_engine(),
            zero_stage=task.compute.zero_stage,
            precision=task.compute.precision,
            state_folder=state_folder,
        )


def resolve(path: Path, overrides: Iterable[str] = (), download: bool = False, text: str | None = None) -> Resolved:
    """Reads and checks a task file.

    Args:
        path: the task file.
        overrides: ``a.b=c`` settings that win over the file.
        download: fetch models that are on the hub and not in its cache.
        text: the task itself where it stands in no file; other files are then looked for beside `path`.

    Raises:
        UserError: the first thing that is wrong.
    """
    document = Document(path, text)
    task = parse(document, Task, overrides)
    base = path.resolve().parent
    with _at(document, "metric"):
        metric = METRICS.get(task.metric)
        metric.row("a", ["a"], ["a", "b"])
    with _at(document, "methods"):
        for method in task.methods:
            METHODS.get(method)
    with _at(document, "search", "sampler"):
        SAMPLERS.get(task.search.sampler)
    with _at(document, "compute", "executor"):
        EXECUTORS.get(task.compute.executor)
    with _at(document, "economics", "price"):
        economics, price_source, warnings = look_up(task.economics, base)
        task = task.model_copy(update={"economics": economics})
    with _at(document, "search_space"):
        space = JointSpace(load_space(task.search_space, base), task, metric.answers)
    splits = make_splits(task, base, metric.answers)
    _check_prompts(space, splits)
    models = {}
    for i, name in enumerate(task.models):
        with _at(document, "models", i):
            models[name] = find_model(name, base, download)
    return Resolved(task, metric, space, splits, models, price_source, tuple(warnings))


def _check_prompts(space: JointSpace, splits: Splits) -> None:
    labels = splits.labels or []
    for template_name, template in space.space.templates.items():
        for name, instruction in space.space.instructions.items():
            try:
                check_prompt(template, instruction, labels)
            except UserError as error:
                raise UserError(f"search space, template '{template_name}', instruction '{name}': {error}") from error


@contextlib.contextmanager
def _at(document: Document, *keys: str | int) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        where = f"{document.path}, line {document.line(keys)}, {'.'.join(map(str, keys))}"
        raise UserError(f"{where}: {error}", error.code) from error


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write_lock(path: Path, resolved: Resolved, devices: Devices, slots: int) -> None:
    """Writes ``task.lock.yaml`` (JSON is YAML): the task with every default, what identifies it, versions, hardware."""
    content = {
        "task": resolved.task.model_dump(mode="json"),
        "price_source": resolved.price_source,
        "models": {name: str(folder) for name, folder in resolved.models.items()},
        "identity": resolved.identity(),
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "hardware": {**devices.model_dump(mode="json"), "slots": slots},
    }
    write_atomic(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_lock(path: Path) -> dict[str, Any] | None:
    """The content of a lock file; None where there is none.

    Raises:
        UserError: it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}); restore it, or start under another name", Exit.STORAGE) from error
    return dict(content)


def check_same(path: Path, resolved: Resolved) -> None:
    """Refuses to resume a study whose question has changed.

    Raises:
        UserError: lists what differs and how to fork; exit 3 when only the data differ.
    """
    lock = read_lock(path)
    if lock is None:
        return
    before, now = lock["identity"], json.loads(json.dumps(resolved.identity()))
    lines = [line for key in now for line in _difference(key, before.get(key), now[key])]
    if lines:
        code = Exit.DATA if all(line.startswith("  data") for line in lines) else Exit.CONFIG
        raise UserError(
            f"{path.parent} holds a study of another question:\n" + "\n".join(lines) + "\n"
            "Undo the change to resume it, or set another `name:` (or --set name=...) to start a new study.",
            code,
        )


def _difference(key: str, before: Any, now: Any) -> list[str]:
    if before == now:
        return []
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted({*before, *now})
        return [line for k in keys for line in _difference(f"{key}.{k}", before.get(k), now.get(k))]
    return [f"  {key}: was {_short(before)}, is {_short(now)}"]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def version(name: str) -> str | None:
    """Version of an installed package; None where it is absent."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
