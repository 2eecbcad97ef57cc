"""A plug-in is one file (or one folder) on its shelf; the file's name is its name.

    METRICS = Registry("metric", "autoadapt.metrics", Metric)
    METRICS.names()             # lists the folder, imports nothing
    METRICS.get("accuracy")     # imports that one file, returns an instance of its Metric

Third parties add plug-ins by entry points of the group named after the package (``autoadapt.metrics``). Such an entry
names a module with one class of the interface, or, where the interface can be made from a function, a function in it.
"""

import contextlib
import functools
import importlib
import inspect
import os
import pkgutil
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast

from pydantic import ValidationError

from autoadapt.errors import Exit, UserError, did_you_mean
from autoadapt.shown_text import conceal

T = TypeVar("T")


class Registry(Generic[T]):
    """The plug-ins of one shelf.

    Args:
        kind: what a plug-in is called in messages, such as ``metric``.
        package: dotted name of the folder.
        base: the class every plug-in derives from.
    """

    def __init__(self, kind: str, package: str, base: type[T]) -> None:
        self.kind, self.package, self.base = kind, package, base
        self._instances: dict[str, T] = {}
        self._functions: dict[str, str] = {}
        """Plug-in -> the function in its module that it is made from."""

    @functools.cached_property
    def _modules(self) -> dict[str, str]:
        paths = importlib.import_module(self.package).__path__
        modules = {
            m.name: f"{self.package}.{m.name}" for m in pkgutil.iter_modules(paths) if not m.name.startswith("_")
        }
        for entry in entry_points(group=self.package):
            if entry.name not in modules:
                modules[entry.name] = entry.module
                self._functions |= {entry.name: entry.attr} if entry.attr else {}
        return modules

    def names(self) -> list[str]:
        """Every plug-in's name, sorted."""
        return sorted(self._modules)

    def is_built_in(self, name: str) -> bool:
        """Whether a plug-in comes with the package."""
        return self._modules.get(name, "").startswith(f"{self.package}.")

    def get(self, name: str) -> T:
        """The plug-in of that name.

        Raises:
            UserError: there is none; the message names the nearest and lists all.
        """
        if name not in self._instances:
            self._instances[name] = self.new(name)
        return self._instances[name]

    def new(self, name: str, settings: Mapping[str, Any] | None = None, expand: bool = True) -> T:
        """The plug-in of that name, one that nobody else holds.

        Args:
            name: of the plug-in.
            settings: as written in the task; references ``${NAME}`` are replaced from the environment here and nowhere
                else, so that no file ever holds what they stand for.
            expand: False leaves references as they are written, for reading a study where their values are not needed.

        Raises:
            UserError: there is none; the message names the nearest and lists all. Or its settings are wrong.
        """
        plugin = self._class(name)
        model = getattr(plugin, "Settings", None)
        if settings and not getattr(model, "model_fields", None):
            raise UserError(f"{self.kind} '{name}' has no settings, so give its name alone")
        try:
            with self.blamed(name):
                if model is None:
                    return plugin()
                values = dict(settings or {})
                return plugin(model.model_validate(expanded(values) if expand else values))  # type: ignore[call-arg]
        except ValidationError as error:
            known = list(getattr(model, "model_fields", ()))
            raise UserError(f"{self.kind} '{name}': {_first_mistake(error, known)}") from error

    def _class(self, name: str) -> type[T]:
        if name not in self._modules:
            raise UserError(f"unknown {self.kind} '{name}': {did_you_mean(name, self.names())}")
        with self.blamed(name):
            module = importlib.import_module(self._modules[name])
            function = getattr(module, self._functions[name]) if name in self._functions else None
        made_of = getattr(self.base, "from_function", None)
        if inspect.isfunction(function) and made_of is not None:
            return cast(type[T], made_of(function))
        plugins = [
            c
            for c in vars(module).values()
            if inspect.isclass(c) and issubclass(c, self.base) and c.__module__ == module.__name__
        ]
        if len(plugins) != 1:
            raise self._broken(name, f"it must define exactly one {self.base.__name__}, and defines {len(plugins)}")
        return plugins[0]

    @contextlib.contextmanager
    def blamed(self, name: str) -> Iterator[None]:
        """While entered, what goes wrong is the fault of a plug-in of another package, which the error names.

        Raises:
            UserError: exit code 4; a fault of a built-in plug-in stays what it is.
        """
        try:
            yield
        except (UserError, ValidationError):
            raise
        except Exception as error:
            if self.is_built_in(name):
                raise
            raise self._broken(name, f"{type(error).__name__}: {error}") from error

    def _broken(self, name: str, why: str) -> UserError:
        return UserError(
            f"{self.kind} '{name}' of {self._modules[name]} does not work ({why}); repair the package that brings "
            "it, or remove it",
            Exit.ENVIRONMENT,
        )


REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expanded(value: Any) -> Any:
    """A value with every reference ``${NAME}`` in its texts replaced from the environment.

    Raises:
        UserError: such a variable is not set.
    """
    if isinstance(value, dict):
        return {key: expanded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [expanded(item) for item in value]
    return REFERENCE.sub(_looked_up, value) if isinstance(value, str) else value


def _looked_up(match: re.Match[str]) -> str:
    value = os.environ.get(match.group(1))
    if value is None:
        raise UserError(f"the environment variable {match.group(1)} is not set")
    conceal(match.group(1), value)
    return value


def _first_mistake(error: ValidationError, known: list[str]) -> str:
    # an unknown setting may be a misspelt one that is then missing, too
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    key = ".".join(map(str, first["loc"])) or "its settings"
    if first["type"] == "extra_forbidden":
        return f"unknown setting '{key}': {did_you_mean(key, known)}"
    return f"{key}: {first['msg'].removeprefix('Value error, ').replace('Input should be', 'should be')}"
