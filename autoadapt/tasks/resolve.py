"""Every name in a task resolved before anything is spent: metric, methods, models, space, prompts, data, executor."""

import dataclasses
import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fidelity, Fit, PromptText, TrainingSettings, seed_of
from autoadapt.domain.metric import AnsweredRow, AnswerKind, Metric, answered_rows
from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.domain.objective import Goal, split_goals
from autoadapt.domain.rows import Row
from autoadapt.domain.space import Branch
from autoadapt.domain.task import Task
from autoadapt.domain.usage import Usage
from autoadapt.errors import Exit, UserError
from autoadapt.json_answers import AnswerSchema
from autoadapt.registry import expanded
from autoadapt.shelves import EXECUTORS, FAMILIES, METHODS, METRICS, OBJECTIVES, SAMPLERS
from autoadapt.tasks.asked_models import models_asked
from autoadapt.tasks.compatible import compatible_models, with_floor
from autoadapt.tasks.context_lengths import cut_inputs_notes, pairs_without_room
from autoadapt.tasks.documents import sampled_rows, with_documents
from autoadapt.tasks.found_models import found_model
from autoadapt.tasks.library_space import TEXTS_OF_SPACE, check_prompts, instructions_of, with_library
from autoadapt.tasks.parsing import parse
from autoadapt.tasks.prices import look_up
from autoadapt.tasks.proposing_model import ProposingModel, find_proposing_model, proposer_of
from autoadapt.tasks.remote_models import check_names
from autoadapt.tasks.slots import Slots, with_slots
from autoadapt.tasks.space import JointSpace, Pairs, load_space
from autoadapt.tasks.split_differences import few_rows_notes
from autoadapt.tasks.splits import Splits, make_splits
from autoadapt.tasks.structured import check_of_references, read_schema, told_schema, with_room, with_schema
from autoadapt.tasks.taught import Taught
from autoadapt.tasks.unlabelled import check_teacher, with_unlabelled
from autoadapt.tasks.yaml_document import Document, at

DRAWN = 50
"""Candidates that are looked at before a space is said to have none that can work."""
SAFE_TO_CHANGE = {"load_requests", "load_seconds", "learning_curve", "seeds", "final_fit"}
"""Of a task's `evaluation`: what no trial of the search depends on."""


@dataclass(frozen=True)
class ResolvedTask:
    """A task with everything its names stand for."""

    task: Task
    metric: Metric
    goals: tuple[Goal, ...]
    """What is optimised, in the task's order."""
    space: JointSpace
    splits: Splits
    models: Mapping[str, ModelReference]
    """By their name in the task."""
    capabilities: Mapping[str, Capabilities]
    """The same for what can be done with them."""
    price_source: str = "given in the task"
    """Where the price of a device-hour comes from."""
    warnings: tuple[str, ...] = ()
    """Of old prices, and of methods that no model suits."""
    schema: AnswerSchema | None = None
    """Of answers that are JSON objects."""
    asked: Mapping[str, ModelReference] = dataclasses.field(default_factory=dict)
    """Models that the metric asks, by name, with their prices."""
    proposing: ProposingModel | None = None
    """What writes instructions during the search; None: nothing does."""
    slots: Slots = dataclasses.field(default_factory=Slots, compare=False)
    """The instructions that were written so far."""
    taught: Taught = dataclasses.field(default_factory=Taught, compare=False)
    """The rows that a teacher has labelled so far."""
    _obstacles: dict[str, str | None] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    """By candidate."""

    def with_warnings(self, warnings: Iterable[str]) -> "ResolvedTask":
        """The same with further warnings."""
        return dataclasses.replace(self, warnings=(*self.warnings, *warnings))

    @property
    def validation_rows(self) -> int:
        """Rows that are answered at full fidelity."""
        return min(self.task.evaluation.rows, len(self.splits.validation))

    def chance(self) -> float | None:
        """Quality of giving every validation row the most frequent label of the training rows.

        None: answers are no labels, the metric asks a server, or there are no rows.
        """
        splits = self.splits
        if self.metric.answers != "label" or not self.metric.early_stopping or not (splits.train and splits.validation):
            return None
        frequent = Counter(row.outputs[0] for row in splits.train).most_common(1)[0][0]
        rows = splits.validation[: self.validation_rows]
        scores = self.metric.score(answered_rows(rows, [frequent] * len(rows), splits.labels))
        return self.metric.value(np.array(scores.stats))

    @property
    def preload(self) -> tuple[str, ...]:
        """Modules that the families of its models want imported before a worker is given a job.

        The models of a simulation belong to no family of the shelf, and need nothing.
        """
        known = FAMILIES.names()
        families = dict.fromkeys(m.family for m in self.models.values() if m.family in known)
        return tuple(dict.fromkeys(module for name in families for module in FAMILIES.get(name).preload))

    def identity(self) -> dict[str, Any]:
        """What may not change when a study is resumed, as JSON values; hashes stand for long texts."""
        task, space = self.task, self.space.space
        files = self.metric.files_hash()
        return {
            "metric": task.metric.model_dump(mode="json"),
            **({} if files is None else {"files of the metric": files}),
            "objectives": list(task.objectives),
            "models": list(task.models),
            "methods": list(task.methods),
            "search_space": _sha(space.model_dump_json(exclude=TEXTS_OF_SPACE) + self.space.added),
            "templates": {name: _sha(text) for name, text in space.templates.items()},
            "instructions": {name: _sha(text) for name, text in instructions_of(space).items()},
            "data": self.splits.hashes(),
            "labels": self.splits.labels,
            "evaluation": task.evaluation.model_dump(mode="json", exclude=SAFE_TO_CHANGE),
            "rungs": task.search.rungs,
            "seed": task.seed,
            "proposer": None if task.proposer is None else task.proposer.model_dump(mode="json"),
            "teacher": None if task.data.unlabelled is None else task.teacher.model_dump(mode="json"),
        }

    def obstacle(self, candidate: Candidate) -> str | None:
        """Why a candidate cannot work, known without running it; None: nothing speaks against it."""
        if (reason := self.slots.obstacle(candidate) or self.taught.obstacle(candidate)) is not None:
            return reason
        if (key := candidate.key()) not in self._obstacles:
            self._obstacles[key] = self._obstacle(candidate)
        return self._obstacles[key]

    def _obstacle(self, candidate: Candidate) -> str | None:
        if (reason := _lacking_rows(candidate, self.splits)) is not None:
            return reason
        if (reason := METHODS.get(candidate.method).contradiction(candidate.params)) is not None:
            return reason
        model = self.models[candidate.model]
        if model.family not in FAMILIES.names():
            return None  # of a simulation
        return FAMILIES.get(model.family).obstacle(model, self._whole_job(candidate), self._rows)

    def open_arms(self) -> Mapping[str, Branch]:
        """The arms of the space without slots that are not filled and without labels that are not given."""
        return self.taught.open_arms(self.slots.open_arms(self.space.arms))

    def cached_numbers(self, candidate: Candidate, accelerator: str) -> int:
        """Numbers that a candidate's model keeps while it answers (`ModelFamily.cached_numbers`)."""
        model = self.models[candidate.model]
        if model.family not in FAMILIES.names():
            return 0  # of a simulation
        family = FAMILIES.get(model.family)
        return family.cached_numbers(model, self._whole_job(candidate), self._rows, accelerator)

    @property
    def _rows(self) -> Mapping[str, Sequence[Row]]:
        documents = sampled_rows(self.splits.documents or [])
        return {"train": self.splits.train, "validation": self.splits.validation, "documents": documents}

    def _whole_job(self, candidate: Candidate) -> Fit:
        """A fit in full."""
        fidelity = Fidelity(rows=max(1, self.validation_rows), steps=1.0, latency_requests=0)
        return self.fit_job(0, candidate, 0, fidelity)

    def prompt_of(self, candidate: Candidate) -> PromptText:
        """The prompt of a candidate; of a model that reads none, the input alone."""
        filled = self.slots.of(candidate)
        written = None if filled is None else filled.instruction
        template, instruction = self.space.space.prompt(candidate.params, written)
        entry = None if written is not None else self.space.space.entries.get(str(candidate.params.get("template")))
        return PromptText(template=template, instruction=instruction, entry=entry.name if entry else "")

    def fit_job(self, trial: int, candidate: Candidate, rung: int, fidelity: Fidelity) -> Fit:
        """The first attempt at a rung of a trial.

        Args:
            trial: its number.
            candidate: what is run.
            rung: of its ladder, from 0.
            fidelity: how much of the work.
        """
        task, filled = self.task, self.slots.of(candidate)
        return Fit(
            trial=trial,
            rung=rung,
            candidate=candidate,
            model=self.models[candidate.model],
            metric=task.metric,
            labels=self.splits.labels,
            multi_label=self.metric.answers == "labels",
            prompt=self.prompt_of(candidate),
            input_columns=task.data.columns.joined,
            max_new_tokens=int(candidate.params.get("max_new_tokens") or task.evaluation.max_new_tokens),
            no_answer=None if task.documents is None else task.documents.no_answer,
            answer_schema=None if self.schema is None else self.schema.schema,
            fidelity=fidelity,
            seed=seed_of(task.seed, trial),
            training=TrainingSettings(
                engine=task.compute.training_engine(),
                zero_stage=task.compute.zero_stage,
                precision=task.compute.precision,
            ),
            state_folder=f"trials/{trial:04d}",
            instruction_usage=Usage() if filled is None else filled.usage,
            labels_usage=self.taught.usage(candidate),
        )


def resolve(path: Path, overrides: Iterable[str] = (), download: bool = False, text: str | None = None) -> ResolvedTask:
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
    with at(document, "schema"):
        schema = read_schema(task, base)
        task = with_schema(task, schema)
    metric = _check_names(document, task)
    task = with_floor(task, metric.answers)
    with at(document, "economics", "price"):
        economics, price_source, warnings = look_up(task.economics, base)
        task = task.model_copy(update={"economics": economics})
    space = _compose(document, task, base, metric.answers, schema)
    task, splits = _rows(document, task, base, metric, schema)
    with at(document, "search_space"):
        check_prompts(space.space, splits.labels or [], metric.answers == "labels")
    models, capabilities, older_prices = _find_models(document, task, base, download)
    with at(document, "metric"):
        asked, old_prices = models_asked(metric, task, base)
        metric.check(base, [*splits.train, *splits.dev, *splits.validation, *splits.test])
    with at(document, "proposer"):
        proposing = find_proposing_model(task, base, download)
    with at(document, "remote"):
        check_names(task, capabilities, [*asked, *(proposing.remote_names if proposing is not None else ())])
    with at(document, "methods"):
        compatible, notes = compatible_models(task, metric, capabilities)
    goals = _goals(document, task)
    pairs = Pairs(compatible, {name: model.family for name, model in models.items()}, capabilities)
    space = space.restricted(pairs, len(splits.labels or []), task)
    _check_space(document, space, splits)
    notes = [*warnings, *older_prices, *old_prices, *notes, *(proposing.notes if proposing is not None else ())]
    resolved = ResolvedTask(
        task, metric, goals, space, splits, models, capabilities, price_source, tuple(notes), schema, asked, proposing
    )
    return resolved.with_warnings(_length_notes(resolved, document))


def _rows(
    document: Document, task: Task, base: Path, metric: Metric, schema: AnswerSchema | None
) -> tuple[Task, Splits]:
    """The rows of a task, and the task with what follows from them."""
    splits = make_splits(task, base, metric.answers, check_of_references(schema, metric))
    task = with_room(task, splits.train)
    with at(document, "data", "unlabelled"):
        task, splits = with_unlabelled(task, base, splits, metric.answers)
    if metric.labels_count_alike:
        splits.notes.extend(few_rows_notes(splits.validation, splits.test))
    return task, splits


def _goals(document: Document, task: Task) -> tuple[Goal, ...]:
    """The task's objectives."""
    with at(document, "objectives"):
        goals = tuple(OBJECTIVES.get(name).goal(name) for name in task.objectives)
        split_goals(goals)
    return goals


def _find_models(
    document: Document, task: Task, base: Path, download: bool
) -> tuple[dict[str, ModelReference], dict[str, Capabilities], list[str]]:
    """The task's models and what can be done with them, by name, and warnings of old prices.

    Raises:
        UserError: one is not found, or its price is not known.
    """
    models, capabilities, warnings = {}, {}, list[str]()
    for i, name in enumerate(task.models):
        with at(document, "models", i):
            found = found_model(name, task, base, download)
            models[name], capabilities[name] = found.reference, found.capabilities
            warnings += found.warnings
    return models, capabilities, warnings


def _length_notes(resolved: ResolvedTask, document: Document) -> list[str]:
    """A note on every method whose prompts are too long for a model, and on models that read a part of some rows.

    The search refuses such candidates one by one, at no cost, so that its verdict names the method and the reason.

    Raises:
        UserError: exit code 3: no method is left for a model that the task names.
    """
    pairs = resolved.space.pairs.models
    reasons = pairs_without_room(resolved.space.arms, resolved.obstacle, len(resolved.splits.train))
    for i, name in enumerate(resolved.task.models):
        methods = [method for method, models in pairs.items() if name in models]
        if methods and all((method, name) in reasons for method in methods):
            with at(document, "models", i):
                why = reasons[methods[0], name]
                raise UserError(f"{why}; shorten the rows, or name a model with a longer context", Exit.DATA)
    notes = [f"cannot be tried: {reason}" for reason in reasons.values()]
    return notes + cut_inputs_notes(resolved.models, resolved.capabilities, resolved.splits.validation)


def _check_names(document: Document, task: Task) -> Metric:
    """The metric, after every plug-in that the task names was found."""
    with at(document, "metric"):
        metric = METRICS.new(task.metric.name, task.metric.settings)
        if metric.early_stopping:  # others ask a server, which costs money
            with METRICS.blamed(task.metric.name):
                metric.score([AnsweredRow("a", "a", ("a",), ("a", "b"))])
    with at(document, "methods"):
        for method in task.methods:
            METHODS.get(method)
    with at(document, "objectives"):
        for objective in task.objectives:
            OBJECTIVES.get(objective)
    with at(document, "search", "sampler"):
        SAMPLERS.new(task.search.sampler.name, task.search.sampler.settings)
    with at(document, "compute", "executor"):
        EXECUTORS.new(task.compute.executor.name, task.compute.executor.settings)
    return metric


def _compose(
    document: Document, task: Task, base: Path, answers: AnswerKind, schema: AnswerSchema | None
) -> JointSpace:
    """The search space with the schema, the slots of the task's proposer, prompts of the library, and documents."""
    with at(document, "search_space"):
        space = told_schema(load_space(expanded(task.search_space), base), schema)
    if task.proposer is not None:
        with at(document, "proposer"):
            slots = proposer_of(task.proposer).settings.slots
        with at(document, "search_space"):
            space = with_slots(space, slots)
    with at(document, "prompts"):
        space = with_library(space, task.prompts, base, answers, None if schema is None else schema.text())
    with at(document, "search_space"):
        return JointSpace(with_documents(space, task.documents, answers), task, answers)


def _check_space(document: Document, space: JointSpace, splits: Splits) -> None:
    with at(document, "teacher"):
        check_teacher(space.task, space.pairs, space.arms)
    with at(document, "search_space"):
        _check_some_candidate(space, splits, space.task.seed)


def _check_some_candidate(space: JointSpace, splits: Splits, seed: int) -> None:
    """Refuses a space of which no candidate that is drawn can work with so few rows."""
    lacking = None
    for candidate in itertools.chain(map(space.candidate, space.first()), space.drawn(DRAWN, seed)):
        if METHODS.get(candidate.method).floor:
            continue
        lacking = _lacking_rows(candidate, splits)
        if lacking is None:
            return
    if lacking is not None:
        raise UserError(f"no candidate of the search space can work: {lacking}; let `shots` be fewer, or add rows")


def _lacking_rows(candidate: Candidate, splits: Splits) -> str | None:
    shots, rows = int(candidate.params.get("shots") or 0), len(splits.train)
    return f"{shots} shots, but there are only {rows} training rows" if shots > rows > 0 else None


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
