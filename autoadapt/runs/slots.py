"""The slots of a run folder: ``slots/slot-1.json``, written once and never changed."""

from pathlib import Path

from autoadapt.domain.proposal import FilledSlot
from autoadapt.errors import Exit, UserError
from autoadapt.files import read_model, write_json

FOLDER = "slots"


def _file(root: Path, slot: int) -> Path:
    return root / FOLDER / f"slot-{slot}.json"


def read_slot(root: Path, slot: int) -> FilledSlot | None:
    """A slot of a run folder; None: it is not filled.

    Raises:
        UserError: its file is damaged, so that nothing says what its trials were measured with; exit 8.
    """
    file = _file(root, slot)
    found = read_model(file, FilledSlot)
    if found is None and file.exists():
        raise UserError(
            f"{file}: damaged; restore it, or copy the instruction from the prompt of a trial that used slot {slot} "
            "(trials/*/rung*/job.json)",
            Exit.STORAGE,
        )
    return found


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


def read_slots(root: Path) -> list[FilledSlot]:
    """Every filled slot of a run folder, by number; those whose files are damaged are left out."""
    files = sorted((root / FOLDER).glob("slot-*.json"))
    found = [read_model(file, FilledSlot) for file in files]
    return sorted((slot for slot in found if slot is not None), key=lambda slot: slot.slot)
