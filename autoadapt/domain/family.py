"""ModelFamily: a kind of base model. The shelf ``models/`` holds one per file or folder.

A family claims names of models, states what they can do, and loads them. It is the only place where a library that
computes (torch, scikit-learn, a client of a server) is imported, and it imports it when it loads.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.jobs import Devices, Fit, JobBase
from autoadapt.domain.method import Adapted, Context, Model
from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.domain.outcome import FailureClass
from autoadapt.domain.rows import Row
from autoadapt.domain.selector import Select
from autoadapt.domain.usage import Usage
from autoadapt.errors import UserError


class ModelFamily(ABC):
    """A kind of base model.

    The driver calls `claims`, then `find` and `capabilities`. A worker keeps one instance for its life and calls
    `open` for every job that fits, `load` for every job that answers with a finished artifact, and `drop` when the
    device should be empty. What is kept warm between jobs is held by the instance.
    """

    preload: ClassVar[tuple[str, ...]] = ()
    """Modules that workers have imported before they are asked for a job, such as torch."""

    branches: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Method -> its parameters on this family's models, as a search space file would write them, where they differ from
    those of other families."""
    first: ClassVar[Mapping[str, Sequence[Mapping[str, Any]]]] = {}
    """Method -> parameters known to be good on this family's models, tried first; for methods in `branches`."""

    @abstractmethod
    def claims(self, name: str, base: Path) -> bool:
        """Whether a model of that name belongs to this family; looks at names and small files alone.

        Args:
            name: as written in the task.
            base: folder of the task file.
        """

    @abstractmethod
    def find(self, name: str, base: Path, download: bool) -> ModelReference:
        """Where the model is.

        Args:
            name: as written in the task.
            base: folder of the task file.
            download: fetch it where it is not on this machine; otherwise only look.

        Raises:
            UserError: there is none, or it must not be used.
        """

    @abstractmethod
    def capabilities(self, model: ModelReference) -> Capabilities:
        """What can be done with a model; reads no weights."""

    def obstacle(self, model: ModelReference, job: Fit, splits: Mapping[str, Sequence[Row]]) -> str | None:
        """Why a candidate cannot work on a model, known without running it; None: nothing speaks against it.

        Called by the driver for every candidate, so that it must be quick and import no heavy library.

        Args:
            model: the base model.
            job: as a worker would get it.
            splits: rows by the names ``train`` and ``validation``; by ``documents`` a sample of the task's documents,
                each the input of a row.
        """
        return None

    def cached_numbers(
        self, model: ModelReference, job: Fit, splits: Mapping[str, Sequence[Row]], accelerator: str
    ) -> int:
        """Numbers that a model keeps while it answers its largest batch: keys and values of attention.

        Called by the driver for what is tried first, so that it must be quick and import no heavy library.

        Args:
            model: the base model.
            job: as a worker would get it.
            splits: rows by the names ``train`` and ``validation``.
            accelerator: on which it would answer, which bounds the size of a batch.
        """
        return 0

    @abstractmethod
    def open(self, context: Context, model: ModelReference) -> Model:
        """The model, ready for one job; it may be loaded when it is first used."""

    @abstractmethod
    def load(
        self,
        folder: Path,
        description: ArtifactDescription,
        devices: Devices,
        tick: Callable[[], None],
        select: Select | None,
    ) -> Adapted:
        """A finished option from its artifact folder.

        Args:
            folder: whole, as its description says.
            description: its ``option.json``.
            devices: where it shall answer.
            tick: called while it makes progress.
            select: few-shot selection, as it was fitted.
        """

    def add_base_model(self, folder: Path, description: ArtifactDescription, devices: Devices) -> ArtifactDescription:
        """Completes a copy of an artifact so that it answers without its base model's folder; gives its description.

        A family whose artifacts hold all that answering needs leaves the folder as it is.

        Args:
            folder: of the copy, which is changed.
            description: of the artifact.
            devices: where it was measured, which decides in which precision it computes.

        Raises:
            UserError: the base model cannot be loaded.
        """
        return description

    def write_onnx(self, folder: Path, description: ArtifactDescription, target: Path) -> None:
        """Writes the model of a finished option as ``model.onnx``, whose output is the state of every token.

        Args:
            folder: of the artifact, with all that answering needs.
            description: its ``option.json``.
            target: an empty folder.

        Raises:
            UserError: a package is missing, or the family or this option cannot be converted.
        """
        raise UserError(f"models of the family '{description.model.family}' cannot be converted to ONNX")

    def drop(self) -> None:  # noqa: B027 - a family that keeps nothing warm has nothing to do
        """Forgets models kept warm and frees their memory."""

    def check(self, model: ModelReference, run: Path, cap: float | None) -> list[str]:
        """Asks a model that is not on this machine whether it answers, once per run; returns notes for the user.

        Args:
            model: as it was found.
            run: the run folder, where what was learned is kept.
            cap: the most that providers may bill the whole study, in USD; None: there is no limit.

        Raises:
            UserError: it does not answer, or must not be asked; nothing can be tried with it.
        """
        return []

    def begin(self, run: Path, folder: Path, job: JobBase) -> None:  # noqa: B027 - most families need not know
        """A worker begins a job; called before `open` or `load`.

        Args:
            run: the run folder, where jobs may keep what they share.
            folder: of the job.
            job: what is done.
        """

    @property
    def billed(self) -> Usage:
        """What providers have billed since `begin`."""
        return Usage()

    @property
    def kept_bytes(self) -> int:
        """Bytes of models that stay loaded for the next job, where `meters` measure them."""
        return 0

    @property
    def loading_seconds(self) -> float:
        """Seconds this instance has spent loading models, for an honest account of overhead."""
        return 0.0

    @property
    def should_retire(self) -> bool:
        """Whether this process should be replaced because a library leaves something behind in it."""
        return False

    def failure_class(self, error: BaseException) -> FailureClass | None:
        """The class of a failure that only this family's libraries can tell, such as oom; None: not one of them."""
        return None

    def meters(self, accelerator: str) -> Mapping[str, Callable[[], Any]]:
        """How a worker measures this family on a device.

        ``synchronize`` waits until the device has done what it was asked; ``reset_peak_memory`` begins a measurement;
        ``peak_memory`` gives bytes since then, and ``memory`` bytes now. Absent: the worker measures the process.
        """
        return {}

    def join_group(self, rank: int, world: int, meeting_file: Path, accelerator: str) -> None:
        """Makes this process one rank of a group that trains together; the ranks meet in a file.

        Raises:
            TypeError: this family trains on one device only.
        """
        raise TypeError(f"{type(self).__name__} trains on one device only")
