"""Rows that are longer than what a model reads: counted before anything is run."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.domain.rows import Row
from autoadapt.domain.space import Branch, Choices, Scalar
from autoadapt.model_files import tokenizer_of

MOST_COUNTED = 1000
"""Rows whose tokens are counted for a note."""


def pairs_without_room(
    arms: Mapping[str, Branch], obstacle: Callable[[Candidate], str | None], training_rows: int
) -> dict[tuple[str, str], str]:
    """Methods and models with which no prompt of a search space can work, even with the fewest examples, and why.

    Args:
        arms: by name.
        obstacle: why a candidate cannot work; None: nothing speaks against it.
        training_rows: of which so many may be examples; arms that need more are not judged by their lengths.
    """
    found = {}
    for arm in arms.values():
        if "template" not in arm.specs or _least_shots(arm) > training_rows:
            continue
        for model in arm.models:
            reason = None
            for params in _prompts(arm):
                reason = obstacle(Candidate(method=arm.method, model=model, params=params))
                if reason is None:
                    break
            if reason is not None:
                found[arm.method, model] = reason
    return found


def _prompts(arm: Branch) -> list[dict[str, Scalar]]:
    """Every prompt of an arm with the fewest examples that it may have."""
    searched = {
        name: spec.choices for name in ("template", "instruction") if isinstance(spec := arm.specs.get(name), Choices)
    }
    shots = _least_shots(arm)
    return [{**dict(zip(searched, one, strict=True)), "shots": shots} for one in itertools.product(*searched.values())]


def _least_shots(arm: Branch) -> int:
    spec = arm.specs.get("shots")
    values = spec.choices if isinstance(spec, Choices) else [0 if spec is None else spec.low]
    return min((int(value) for value in values if isinstance(value, int | float)), default=0)


def cut_inputs_notes(
    models: Mapping[str, ModelReference], capabilities: Mapping[str, Capabilities], rows: Sequence[Row]
) -> list[str]:
    """A note for every model that reads only the beginning of some inputs.

    Args:
        models: by name.
        capabilities: of each.
        rows: that are answered.
    """
    notes = []
    texts = [row.input for row in rows[:MOST_COUNTED]]
    for name, model in models.items():
        limit, folder = capabilities[name].context_length, Path(model.place)
        here = folder.is_absolute() and capabilities[name].embeds
        tokenizer = tokenizer_of(folder) if limit and here else None
        if tokenizer is None or limit is None or not texts:
            continue
        lengths = [len(encoded.ids) for encoded in tokenizer.encode_batch(texts)]
        if cut := sum(length > limit for length in lengths):
            notes.append(
                f"{name} reads at most {limit} tokens: {cut} of {len(texts)} validation rows are longer (up to "
                f"{max(lengths)}), of which it reads the beginning"
            )
    return notes
