"""Energy that a trial's training drew over all of its rungs, kept beside its checkpoints."""

from pathlib import Path

from pydantic import RootModel

from autoadapt.files import read_whole, write_json

FILE = "training-joules.json"


class _JoulesByRung(RootModel[dict[int, float]]):
    """Rung -> joules drawn by its job."""


def add_training_joules(state: Path, rung: int, joules: float) -> float | None:
    """Notes what a rung's job drew; a job that is tried again replaces its earlier figure.

    Args:
        state: folder of the trial.
        rung: number of the rung, from 0.
        joules: drawn by its job.

    Returns:
        Joules of all rungs up to this one together; None: those of an earlier rung are not known.
    """
    stored = read_whole(state / FILE, _JoulesByRung)
    by_rung = {**(stored.root if stored is not None else {}), rung: joules}
    state.mkdir(parents=True, exist_ok=True)
    write_json(state / FILE, _JoulesByRung(by_rung))
    return sum(by_rung[r] for r in range(rung + 1)) if all(r in by_rung for r in range(rung + 1)) else None
