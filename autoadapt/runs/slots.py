"""The slots of a run folder: ``slots/slot-1.json``, written once and never changed."""

from pathlib import Path

from autoadapt.domain.proposal import FilledSlot
from autoadapt.files import read_model, write_json

FOLDER = "slots"


def _file(root: Path, slot: int) -> Path:
    return root / FOLDER / f"slot-{slot}.json"


def read_slot(root: Path, slot: int) -> FilledSlot | None:
    """A slot of a run folder; None: it is not filled, or its file was damaged and is set aside."""
    return read_model(_file(root, slot), FilledSlot)


def keep_slot(root: Path, filled: FilledSlot) -> FilledSlot:
    """Writes a slot unless it is filled already; returns what it holds.

    Args:
        root: the run folder.
        filled: the slot.
    """
    before = read_slot(root, filled.slot)
    if before is not None:
        return before
    _file(root, filled.slot).parent.mkdir(exist_ok=True)
    write_json(_file(root, filled.slot), filled)
    return filled
