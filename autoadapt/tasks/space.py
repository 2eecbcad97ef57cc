"""The joint search space: found by name, checked against methods and task, and asked for candidates.

Candidates are drawn from arms: a method on the models that it suits, with the parameters that it has there. Optuna's
parameter names are ``method``, ``model`` (where there are several), ``prompt.template`` and ``prompt.instruction`` for
the prompt, and ``ARM.PARAMETER`` for all others. Where not every model suits every method, the model is
``METHOD.model``: one list of choices per method.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from pydantic import BaseModel, TypeAdapter, ValidationError

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.model import Capabilities
from autoadapt.domain.params import TEACHER_ROWS
from autoadapt.domain.space import Branch, Choices, Range, Scalar, SearchSpace, Spec, applies, arm_of, specs_on
from autoadapt.domain.task import Task
from autoadapt.errors import UserError, did_you_mean
from autoadapt.shelves import FAMILIES, METHODS, SELECTORS
from autoadapt.tasks.parameter_values import allowed, middle, nearest, within
from autoadapt.tasks.parsing import parse
from autoadapt.tasks.yaml_document import Document

PACKAGE = Path(__file__).parents[1]
BRANCH: TypeAdapter[dict[str, Choices | Range]] = TypeAdapter(dict[str, Spec])


def space_folder() -> Path:
    """Where the named search spaces are: inside an installed package, beside it in a checkout."""
    inside = PACKAGE / "search_spaces"
    return inside if inside.is_dir() else PACKAGE.parent / "search_spaces"


def load_space(name: str, base: Path) -> SearchSpace:
    """A search space by name, or by path (relative to `base`).

    Raises:
        UserError: there is none of that name, or the file is wrong.
    """
    named = space_folder() / f"{name}.yaml"
    if named.is_file() and "/" not in name:
        return parse(Document(named), SearchSpace)
    path = (base / name).expanduser()
    if "/" in name or name.endswith((".yaml", ".yml")):
        return parse(Document(path), SearchSpace)
    known = [p.stem for p in space_folder().glob("*.yaml")]
    raise UserError(f"search_space '{name}': {did_you_mean(name, known)} Or give a path to a YAML file.")


@dataclass(frozen=True)
class Pairs:
    """Which methods and models suit each other, and what is known of the models.

    Args:
        models: method -> the models it can be used with.
        families: model -> its family; a model that is absent belongs to none of the shelf.
        capabilities: model -> what can be done with it; of a model that is absent nothing is known.
    """

    models: Mapping[str, tuple[str, ...]]
    families: Mapping[str, str]
    capabilities: Mapping[str, Capabilities]

    @classmethod
    def every(cls, task: Task) -> "Pairs":
        """Every method with every model, as long as nothing is known of the models."""
        return cls(dict.fromkeys(task.methods, tuple(task.models)), {}, {})

    def reads_prompts(self, model: str) -> bool:
        """Whether a model reads prompts; one of which nothing is known does."""
        return model not in self.capabilities or self.capabilities[model].reads_prompts


class JointSpace:
    """A search space made ready for one task.

    Args:
        space: what is searched.
        task: which methods and models are allowed.
        answers: what the metric asks for; decides parameters with ``when: {answers: ...}``.
        pairs: of methods and models, from which candidates are drawn; None: all.
        labels: how many the task has.

    A method that the space has no branch for brings its own (`Method.branch`, `Method.first`), and a family of models
    may have branches of its own (`ModelFamily.branches`, `ModelFamily.first`). A branch METHOD@FAMILY of the space goes
    before both.

    Raises:
        UserError: a parameter is unknown or can take a value outside its limits.
    """

    def __init__(
        self,
        space: SearchSpace,
        task: Task,
        answers: AnswerKind,
        pairs: Pairs | None = None,
        labels: int = 0,
    ) -> None:
        self.space, self.task, self.answers, self.labels = space, task, answers, labels
        self.pairs = pairs or Pairs.every(task)
        self.methods = [method for method in task.methods if method in self.pairs.models]
        every = tuple(task.models)
        self._model_by_method = any(models != every for models in self.pairs.models.values())
        _check_names(space)
        self.arms: dict[str, Branch] = {}
        """Every arm by name: METHOD, or METHOD@FAMILY where models of a family have parameters of their own; then
        /MODEL, the first of those that take the same parameters, where some of its models take others."""
        self._branch_of: dict[str, str] = {}
        """Arm -> the same without /MODEL."""
        self._added: dict[str, Any] = {}
        self._first: list[tuple[str, Mapping[str, Scalar]]] = []
        for method in self.methods:
            self._add_arms(method)
        self.added = json.dumps(self._added) if self._added else ""
        """Branches that methods and families brought themselves, as text."""
        self._add_first()
        for candidate in self.first():
            self.candidate(candidate)

    def restricted(self, pairs: Pairs, labels: int = 0, task: Task | None = None) -> "JointSpace":
        """The same space for these pairs of method and models alone, for so many labels, and as a task now stands."""
        return JointSpace(self.space, task or self.task, self.answers, pairs, labels)

    # -- arms

    def _add_arms(self, method: str) -> None:
        """The arms of a method: its models grouped by where their parameters come from, and by whether a prompt is."""
        groups: dict[str, list[str]] = {}
        for model in self.pairs.models[method]:
            groups.setdefault(self._arm_name(method, model), []).append(model)
        for name, models in groups.items():
            plugin, prompted = METHODS.get(method), self.pairs.reads_prompts(models[0])
            shared = {n: s for n, s in self.space.shared.items() if prompted and n in plugin.Params.model_fields}
            self._add_group(name, method, models, shared, self._branch(name, method))

    def _add_group(
        self,
        name: str,
        method: str,
        models: list[str],
        shared: Mapping[str, Choices | Range],
        specs: Mapping[str, Choices | Range],
    ) -> None:
        """The arms of models with one branch: one for all that take the same parameters."""
        defaults = {n: f.default for n, f in METHODS.get(method).Params.model_fields.items()}
        alike: list[tuple[dict[str, Choices | Range], list[str]]] = []
        for model in models:
            own = specs_on(specs, self.pairs.capabilities.get(model), defaults, self.labels)
            same = next((members for taken, members in alike if taken == own), None)
            if same is None:
                alike.append((own, [model]))
            else:
                same.append(model)
        for own, members in alike:
            arm = name if len(alike) == 1 else f"{name}/{members[0]}"
            self._branch_of[arm] = name
            self.arms[arm] = Branch(method, {**shared, **own}, len(shared), self.answers, tuple(members))

    def _arm_name(self, method: str, model: str) -> str:
        family = self.pairs.families.get(model)
        if family is None:
            return method
        own = f"{method}@{family}"
        if own in self.space.branches or method in FAMILIES.get(family).branches:
            return own
        mixed = {self.pairs.reads_prompts(m) for m in self.pairs.models[method]}
        return own if len(mixed) > 1 and not self.pairs.reads_prompts(model) else method

    def _branch(self, name: str, method: str) -> dict[str, Choices | Range]:
        plugin, family = METHODS.get(method), name.partition("@")[2]
        branch = self.space.branches.get(name)
        if branch is None:
            brought = FAMILIES.get(family).branches.get(method) if family else None
            if brought is None:
                branch = self.space.branches.get(method)
            if branch is None:
                brought = brought if brought is not None else plugin.branch
                branch = BRANCH.validate_python(dict(brought))
                self._added[name] = [brought, self._brought_first(name, method)]
        known = [n for n in plugin.Params.model_fields if n not in self.space.shared and n != TEACHER_ROWS]
        for parameter, spec in branch.items():
            if parameter not in known:
                raise UserError(
                    f"search space, branches.{name}: unknown parameter '{parameter}': {did_you_mean(parameter, known)}"
                )
            for value in spec.choices if isinstance(spec, Choices) else (spec.low, spec.high):
                _check_value(name, plugin.Params, parameter, value)
        if TEACHER_ROWS in plugin.Params.model_fields and self.task.data.unlabelled is not None:
            branch = {**branch, TEACHER_ROWS: Choices(choices=[*self.task.teacher.rows])}
        return branch

    @staticmethod
    def _brought_first(name: str, method: str) -> list[Mapping[str, Any]]:
        """Known-good parameters of an arm whose branch the space does not have."""
        family = name.partition("@")[2]
        if family and method in FAMILIES.get(family).first:
            return list(FAMILIES.get(family).first[method])
        return list(METHODS.get(method).first)

    def _add_first(self) -> None:
        """What is tried first, as (arm, parameters): simple methods, then the space's own, then those brought along."""
        written = {self._arm_written(one) for one in self.space.first}
        brought = [
            (arm, within(branch.specs, {**self._known_prompt(branch), **one}))
            for arm, branch in self.arms.items()
            if self._branch_of[arm] not in written
            for one in self._brought_first(self._branch_of[arm], branch.method) or [{}]
        ]
        own = [
            (arm, taken)
            for one in self.space.first
            for arm in self.arms
            if self._branch_of[arm] == self._arm_written(one)
            if (taken := self._taken(arm, one)) is not None
        ]
        floors = [(arm, one) for arm, one in brought if METHODS.get(self.arms[arm].method).floor]
        self._first = [*floors, *own, *((arm, one) for arm, one in brought if (arm, one) not in floors)]

    def _taken(self, arm: str, one: Mapping[str, Scalar]) -> Mapping[str, Scalar] | None:
        """An entry of `first` as the models of an arm take it; None: it asks for what they do not take."""
        fields = METHODS.get(self.arms[arm].method).Params.model_fields
        branch = self.space.branches.get(self._branch_of[arm], {})
        absent = [name for name in one if name in branch and name not in self.arms[arm].specs]
        if any(one[name] != fields[name].default for name in absent):
            return None
        return {name: value for name, value in one.items() if name not in absent}

    def _known_prompt(self, branch: Branch) -> Mapping[str, Scalar]:
        """Template and instruction of a candidate of a method that names none: those that the space tries first.

        Where it tries none, the first instruction that names the labels: a model that is not told them cannot choose.
        """
        names = [name for name in self.space.shared if name in branch.specs]
        for one in self.space.first:
            if one.get("method") == branch.method:
                return {name: one[name] for name in names if name in one}
        telling = [name for name, text in self.space.instructions.items() if "labels" in text]
        if METHODS.get(branch.method).tunes or not telling or "instruction" not in names:
            return {}
        return {"instruction": telling[0]} if allowed(branch.specs["instruction"], telling[0]) else {}

    def _arm_written(self, one: Mapping[str, Scalar]) -> str:
        """The arm that an entry of `first` names as its method."""
        method = one.get("method")
        if not isinstance(method, str) or (method not in self.space.branches and method not in self.task.methods):
            raise UserError(f"search space, first: '{method}' is not a branch of this space")
        return method

    def arm_of(self, method: str, model: str) -> str:
        """The arm of a method on a model that it suits."""
        return arm_of(self.arms, method, model)

    # -- candidates

    def suggest(self, trial: optuna.trial.BaseTrial) -> Candidate:
        """Asks Optuna for one candidate; parameters that do not apply are not asked for."""
        method = trial.suggest_categorical("method", self.methods)
        models = self.pairs.models[method]
        model = models[0]
        if (name := self._model_name(method)) is not None:
            model = trial.suggest_categorical(name, models)
        arm = self.arm_of(method, model)
        chosen: dict[str, Scalar] = {}
        for name, spec in self.arms[arm].specs.items():
            if self._applies(spec, chosen):
                chosen[name] = _suggest(trial, self._optuna_name(arm, name), spec)
        return Candidate(method=method, model=model, params=chosen)

    def _optuna_name(self, arm: str, parameter: str) -> str:
        return f"prompt.{parameter}" if parameter in self.space.shared else f"{arm}.{parameter}"

    def _model_name(self, method: str) -> str | None:
        """Optuna's name of the model of a method; None: the method has one model only, which is not asked for."""
        if self._model_by_method:
            return f"{method}.model" if len(self.pairs.models[method]) > 1 else None
        return "model" if len(self.task.models) > 1 else None

    def _named(self, method: str, model: str) -> dict[str, Scalar]:
        """Method and model as Optuna parameters."""
        name = self._model_name(method)
        return {"method": method} if name is None else {"method": method, name: model}

    def _applies(self, spec: Choices | Range, chosen: Mapping[str, Scalar]) -> bool:
        return applies(spec, {"answers": self.answers, **chosen})

    def first(self) -> list[dict[str, Scalar]]:
        """The candidates to begin with, as complete Optuna parameters, for every model that they suit."""
        complete: list[dict[str, Scalar]] = []
        for arm, written in self._first:
            method = self.arms[arm].method
            for model in self.arms[arm].models:
                one = {**self._named(method, model), **self._complete(arm, self._suited(arm, model, written))}
                if one not in complete:  # they may differ by a parameter alone that does not apply here
                    complete.append(one)
        return complete

    def _suited(self, arm: str, model: str, written: Mapping[str, Scalar]) -> Mapping[str, Scalar]:
        """Known-good parameters as they suit a model, as far as the space allows it."""
        branch, known = self.arms[arm], self.pairs.capabilities.get(model)
        suited = written if known is None else METHODS.get(branch.method).suited(written, known)
        within = {name: nearest(branch.specs[name], v) for name, v in suited.items() if written.get(name) != v}
        return {**suited, **within}

    def _complete(self, arm: str, written: Mapping[str, Scalar]) -> dict[str, Scalar]:
        specs = self.arms[arm].specs
        unknown = sorted(set(written) - set(specs) - set(self.space.shared) - {"method"})
        if unknown:
            raise UserError(f"search space, first: unknown parameter '{unknown[0]}': {did_you_mean(unknown[0], specs)}")
        chosen: dict[str, Scalar] = {}
        full: dict[str, Scalar] = {}
        for name, spec in specs.items():
            if not self._applies(spec, chosen):
                continue
            value = written[name] if name in written else middle(spec)
            if not allowed(spec, value):
                raise UserError(f"search space, first: {name}: {value!r} is not in what {name} may be")
            chosen[name] = value
            full[self._optuna_name(arm, name)] = value
        return full

    def default(self, method: str, model: str) -> Candidate:
        """The candidate of first choices and middles."""
        return self.candidate({**self._named(method, model), **self._complete(self.arm_of(method, model), {})})

    def fit(self, method: str, model: str, values: Mapping[str, Scalar]) -> dict[str, Scalar] | None:
        """A candidate of another space as complete Optuna parameters of this one; None where it has no place here.

        Parameters that this space does not search are dropped, those that it adds take their middle.
        """
        if model not in self.pairs.models.get(method, ()):
            return None
        arm = self.arm_of(method, model)
        specs = self.arms[arm].specs
        searched = {name: value for name, value in values.items() if name in specs}
        if not all(allowed(specs[name], value) for name, value in searched.items()):
            return None
        return {**self._named(method, model), **self._complete(arm, searched)}

    def drawn(self, count: int, seed: int) -> Iterator[Candidate]:
        """Candidates drawn at random, for a look at the space."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
        return (self.suggest(study.ask()) for _ in range(count))

    def candidate(self, params: Mapping[str, Scalar]) -> Candidate:
        """The candidate of complete Optuna parameters."""
        return self.suggest(optuna.trial.FixedTrial(dict(params)))


def _check_names(space: SearchSpace) -> None:
    """Shared parameters must be those of some method, and branches of families name families that there are."""
    parameters = {name for method in METHODS.names() for name in METHODS.get(method).Params.model_fields}
    parameters -= {TEACHER_ROWS}  # it comes with rows without a label
    for name in space.shared:
        if name not in parameters:
            raise UserError(f"search space, shared.{name}: unknown parameter: {did_you_mean(name, parameters)}")
    for name in space.branches:
        method, at, family = name.partition("@")
        if at and (family not in FAMILIES.names() or method not in METHODS.names()):
            kind, known = ("method", METHODS) if method not in METHODS.names() else ("family", FAMILIES)
            wrong = method if kind == "method" else family
            raise UserError(f"search space, branches.{name}: unknown {kind}: {did_you_mean(wrong, known.names())}")


def _suggest(trial: optuna.trial.BaseTrial, name: str, spec: Choices | Range) -> Scalar:
    if isinstance(spec, Choices):
        # a single choice is fixed: asking Optuna would only add a dimension without a question
        return spec.choices[0] if len(spec.choices) == 1 else trial.suggest_categorical(name, spec.choices)
    if isinstance(spec.low, int) and isinstance(spec.high, int):
        step = int(spec.step) if spec.step is not None else 1
        return trial.suggest_int(name, spec.low, spec.high, step=step, log=spec.log)
    return trial.suggest_float(name, spec.low, spec.high, step=spec.step, log=spec.log)


def _check_value(branch: str, params: type[BaseModel], name: str, value: Any) -> None:
    required = {n: "x" for n, f in params.model_fields.items() if f.is_required()}
    if name == "selector":
        SELECTORS.get(str(value))
    try:
        params.model_validate({**required, name: value})
    except ValidationError as error:
        message = error.errors()[0]["msg"].replace("Input should be", "should be")
        raise UserError(f"search space, branches.{branch}.{name}: {message}, not {value!r}") from error
