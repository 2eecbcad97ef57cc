"""The proposer of a task and the model that writes for it, checked before anything is spent."""

from dataclasses import dataclass
from pathlib import Path

from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.domain.proposer import Proposer
from autoadapt.domain.task import Task
from autoadapt.errors import Exit, UserError
from autoadapt.shelves import PROPOSERS
from autoadapt.tasks.found_models import found_model

LEAST_TO_REFLECT = 3_000_000_000
"""Weights below which a model is too small to say why answers are wrong, by what is published and was measured:
benchmarks/proposers."""
LEAST_ROWS = 20
"""Training rows below which instructions are not told apart."""


@dataclass(frozen=True)
class ProposingModel:
    """The model that writes instructions.

    Args:
        reference: with the task's settings, where it is behind a server.
        capabilities: what can be done with it.
        notes: for the user.
    """

    reference: ModelReference
    capabilities: Capabilities
    notes: tuple[str, ...] = ()

    @property
    def remote_names(self) -> tuple[str, ...]:
        """Its name where it is behind a server, else nothing."""
        return (self.reference.name,) if self.capabilities.remote else ()


def proposer_of(choice: PluginChoice) -> Proposer:
    """The proposer that a task names, with its settings.

    Raises:
        UserError: there is none of that name, its settings are wrong, or a package that it needs is missing.
    """
    if not choice.settings:
        raise UserError(f"proposer '{choice.name}': name the model that writes: {{{choice.name}: {{model: NAME}}}}")
    proposer = PROPOSERS.new(choice.name, choice.settings)
    if (command := proposer.missing()) is not None:
        raise UserError(f"proposer '{choice.name}' needs a package that is not installed: {command}", Exit.ENVIRONMENT)
    return proposer


def find_proposing_model(task: Task, base: Path, download: bool) -> ProposingModel | None:
    """The model that writes instructions; None: the task names no proposer.

    Args:
        task: its proposer, and settings of remote models.
        base: folder of the task file.
        download: fetch it where it is not on this machine.

    Raises:
        UserError: it is not there, or it writes no text.
    """
    if task.proposer is None:
        return None
    # the name as it was written: what a reference stands for is kept in no file
    name = PROPOSERS.new(task.proposer.name, task.proposer.settings, expand=False).settings.model
    found = found_model(name, task, base, download)
    if not found.capabilities.generates:
        raise UserError(f"model '{name}' writes no free text, so that it cannot write instructions; name another one")
    small = too_small_note(name, found.capabilities)
    return ProposingModel(found.reference, found.capabilities, (*found.warnings, *([small] if small else [])))


def too_small_note(name: str, capabilities: Capabilities) -> str | None:
    """That a model is too small to write good instructions; None: it is not, or its size is not known.

    Args:
        name: of the proposing model.
        capabilities: of the same.
    """
    if not 0 < capabilities.parameters < LEAST_TO_REFLECT:
        return None
    millions = capabilities.parameters / 1e6
    size = f"{millions:,.0f} million" if millions >= 1 else f"{capabilities.parameters:,}"
    return (
        f"proposer: {name} has {size} weights: a model of fewer than about 3 billion is too small to reflect on wrong "
        "answers, so that its instructions are rarely better than those of the library"
    )
