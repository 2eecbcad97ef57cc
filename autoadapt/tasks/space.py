"""The joint search space: found by name, checked against methods and task, and asked for candidates.

Optuna's parameter names are ``method``, ``model`` (where there are several), ``prompt.template`` and
``prompt.instruction`` for the shared prompt, and ``METHOD.PARAMETER`` for a branch. Where not every model suits every
method, the model is ``METHOD.model``: one list of choices per method.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import optuna
from pydantic import BaseModel, TypeAdapter, ValidationError

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.space import Branch, Choices, Range, Scalar, SearchSpace, Spec, applies
from autoadapt.domain.task import Task
from autoadapt.errors import UserError, did_you_mean
from autoadapt.shelves import METHODS, SELECTORS
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


class JointSpace:
    """A search space made ready for one task.

    Args:
        space: what is searched.
        task: which methods and models are allowed.
        answers: what the metric asks for; decides parameters with ``when: {answers: ...}``.

    A method that the space has no branch for brings its own (`Method.branch`, `Method.first`).

    Raises:
        UserError: a parameter is unknown or can take a value outside its limits.
    """

    def __init__(
        self,
        space: SearchSpace,
        task: Task,
        answers: Literal["label", "text"],
        compatible: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.space, self.task, self.answers = space, task, answers
        every = tuple(task.models)
        self.compatible = dict.fromkeys(task.methods, every) if compatible is None else dict(compatible)
        """Method -> the models it can be used with; the pairs from which candidates are drawn."""
        self.methods = [method for method in task.methods if method in self.compatible]
        self._model_by_method = any(models != every for models in self.compatible.values())
        added = [method for method in self.methods if method not in space.branches]
        self.added = json.dumps({m: [METHODS.get(m).branch, METHODS.get(m).first] for m in added}) if added else ""
        """Branches that methods brought themselves, as text."""
        self._first = [*space.first, *({"method": m, **one} for m in added for one in METHODS.get(m).first)]
        self.branches = {name: self._branch(name) for name in self.methods}
        for candidate in self.first():
            self.candidate(candidate)

    def restricted(self, compatible: Mapping[str, tuple[str, ...]]) -> "JointSpace":
        """The same space for these pairs of method and models alone."""
        return JointSpace(self.space, self.task, self.answers, compatible)

    def _branch(self, method: str) -> dict[str, Choices | Range]:
        params = METHODS.get(method).Params
        branch = self.space.branches.get(method)
        if branch is None:
            branch = BRANCH.validate_python(dict(METHODS.get(method).branch))
        known = [n for n in params.model_fields if n not in self.space.shared]
        for name, spec in branch.items():
            if name not in known:
                raise UserError(
                    f"search space, branches.{method}: unknown parameter '{name}': {did_you_mean(name, known)}"
                )
            for value in spec.choices if isinstance(spec, Choices) else (spec.low, spec.high):
                _check_value(method, params, name, value)
        return branch

    def suggest(self, trial: optuna.trial.BaseTrial) -> Candidate:
        """Asks Optuna for one candidate; parameters that do not apply are not asked for."""
        method = trial.suggest_categorical("method", self.methods)
        models = self.compatible[method]
        model = models[0]
        if (name := self._model_name(method)) is not None:
            model = trial.suggest_categorical(name, models)
        chosen: dict[str, Scalar] = {}
        for name, spec in self.space.shared.items():
            if self._applies(spec, chosen):
                chosen[name] = _suggest(trial, f"prompt.{name}", spec)
        for name, spec in self.branches[method].items():
            if self._applies(spec, chosen):
                chosen[name] = _suggest(trial, f"{method}.{name}", spec)
        return Candidate(method=method, model=model, params=chosen)

    def _model_name(self, method: str) -> str | None:
        """Optuna's name of the model of a method; None: the method has one model only, which is not asked for."""
        if self._model_by_method:
            return f"{method}.model" if len(self.compatible[method]) > 1 else None
        return "model" if len(self.task.models) > 1 else None

    def _named(self, method: str, model: str) -> dict[str, Scalar]:
        """Method and model as Optuna parameters."""
        name = self._model_name(method)
        return {"method": method} if name is None else {"method": method, name: model}

    def _applies(self, spec: Choices | Range, chosen: Mapping[str, Scalar]) -> bool:
        return applies(spec, {"answers": self.answers, **chosen})

    def joint_branches(self) -> dict[str, Branch]:
        """Method -> all its parameters, the shared ones first."""
        shared = self.space.shared
        return {m: Branch({**shared, **specs}, len(shared), self.answers) for m, specs in self.branches.items()}

    def first(self) -> list[dict[str, Scalar]]:
        """The candidates to begin with, as complete Optuna parameters; those of methods not allowed are left out."""
        complete = []
        for written in self._first:
            method = written.get("method")
            if not isinstance(method, str) or (method not in self.space.branches and method not in self.task.methods):
                raise UserError(f"search space, first: '{method}' is not a branch of this space")
            complete += [
                {**self._named(method, model), **self._complete(method, written)}
                for model in self.compatible.get(method, ())
            ]
        return complete

    def _complete(self, method: str, written: Mapping[str, Scalar]) -> dict[str, Scalar]:
        specs = {**self.space.shared, **self.branches[method]}
        unknown = sorted(set(written) - set(specs) - {"method"})
        if unknown:
            raise UserError(f"search space, first: unknown parameter '{unknown[0]}': {did_you_mean(unknown[0], specs)}")
        chosen: dict[str, Scalar] = {}
        full: dict[str, Scalar] = {}
        for name, spec in specs.items():
            if not self._applies(spec, chosen):
                continue
            value = written[name] if name in written else _middle(spec)
            if not _allowed(spec, value):
                raise UserError(f"search space, first: {name}: {value!r} is not in what {name} may be")
            chosen[name] = value
            full[f"prompt.{name}" if name in self.space.shared else f"{method}.{name}"] = value
        return full

    def default(self, method: str, model: str) -> Candidate:
        """The candidate of first choices and middles."""
        return self.candidate({**self._named(method, model), **self._complete(method, {})})

    def fit(self, method: str, model: str, values: Mapping[str, Scalar]) -> dict[str, Scalar] | None:
        """A candidate of another space as complete Optuna parameters of this one; None where it has no place here.

        Parameters that this space does not search are dropped, those that it adds take their middle.
        """
        if model not in self.compatible.get(method, ()):
            return None
        specs = {**self.space.shared, **self.branches[method]}
        searched = {name: value for name, value in values.items() if name in specs}
        if not all(_allowed(specs[name], value) for name, value in searched.items()):
            return None
        return {**self._named(method, model), **self._complete(method, searched)}

    def candidate(self, params: Mapping[str, Scalar]) -> Candidate:
        """The candidate of complete Optuna parameters."""
        return self.suggest(optuna.trial.FixedTrial(dict(params)))


def _suggest(trial: optuna.trial.BaseTrial, name: str, spec: Choices | Range) -> Scalar:
    if isinstance(spec, Choices):
        # a single choice is fixed: asking Optuna would only add a dimension without a question
        return spec.choices[0] if len(spec.choices) == 1 else trial.suggest_categorical(name, spec.choices)
    if isinstance(spec.low, int) and isinstance(spec.high, int):
        step = int(spec.step) if spec.step is not None else 1
        return trial.suggest_int(name, spec.low, spec.high, step=step, log=spec.log)
    return trial.suggest_float(name, spec.low, spec.high, step=spec.step, log=spec.log)


def _middle(spec: Choices | Range) -> Scalar:
    if isinstance(spec, Choices):
        return spec.choices[0]
    middle = math.sqrt(spec.low * spec.high) if spec.log else (spec.low + spec.high) / 2
    if isinstance(spec.low, int) and isinstance(spec.high, int):
        step = int(spec.step) if spec.step is not None else 1
        return spec.low + round((middle - spec.low) / step) * step
    return spec.low + round((middle - spec.low) / spec.step) * spec.step if spec.step else middle


def _allowed(spec: Choices | Range, value: Scalar) -> bool:
    if isinstance(spec, Choices):
        return value in spec.choices
    return isinstance(value, int | float) and spec.low <= value <= spec.high


def _check_value(method: str, params: type[BaseModel], name: str, value: Any) -> None:
    required = {n: "x" for n, f in params.model_fields.items() if f.is_required()}
    if name == "selector":
        SELECTORS.get(str(value))
    try:
        params.model_validate({**required, name: value})
    except ValidationError as error:
        message = error.errors()[0]["msg"].replace("Input should be", "should be")
        raise UserError(f"search space, branches.{method}.{name}: {message}, not {value!r}") from error
