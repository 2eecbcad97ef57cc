"""A plug-in is one file in its folder; the file's name is its name.

    METRICS = Registry("metric", "autoadapt.metrics", Metric)
    METRICS.names()             # lists the folder, imports nothing
    METRICS.get("accuracy")     # imports that one file, returns an instance of its Metric

Third parties add plug-ins by entry points of the group named after the package (``autoadapt.metrics``).
"""

import functools
import importlib
import inspect
import pkgutil
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from autoadapt.errors import UserError, did_you_mean

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

    @functools.cached_property
    def _modules(self) -> dict[str, str]:
        paths = importlib.import_module(self.package).__path__
        found = {m.name: f"{self.package}.{m.name}" for m in pkgutil.iter_modules(paths) if not m.name.startswith("_")}
        for entry in entry_points(group=self.package):
            found.setdefault(entry.name, entry.module)
        return found

    def names(self) -> list[str]:
        """Every plug-in's name, sorted."""
        return sorted(self._modules)

    def get(self, name: str) -> T:
        """The plug-in of that name.

        Raises:
            UserError: there is none; the message names the nearest and lists all.
        """
        if name not in self._instances:
            self._instances[name] = self.new(name)
        return self._instances[name]

    def new(self, name: str) -> T:
        """The plug-in of that name, one that nobody else holds.

        Raises:
            UserError: there is none; the message names the nearest and lists all.
        """
        if name not in self._modules:
            raise UserError(f"unknown {self.kind} '{name}': {did_you_mean(name, self.names())}")
        module = importlib.import_module(self._modules[name])
        own = [
            c
            for c in vars(module).values()
            if inspect.isclass(c) and issubclass(c, self.base) and c.__module__ == module.__name__
        ]
        if len(own) != 1:
            raise TypeError(f"{module.__name__} must define exactly one {self.base.__name__}, found {len(own)}")
        return own[0]()
