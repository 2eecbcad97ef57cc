"""How far an option's quality depends on the wording of its prompt and on the spelling of its rows."""

from typing import Literal

from pydantic import Field

from autoadapt.domain.strict import StrictModel

WordingKind = Literal["instruction", "label_order", "separators", "shot_order", "shot_draw"]
"""Other wordings of a prompt: of its instruction, the order in which it names the labels, the separators of its
template, the order of its examples, and other examples."""
RowKind = Literal["typos", "case"]
"""Other spellings of rows: typing errors, and capitals and punctuation."""
PerturbationKind = WordingKind | RowKind
WORDING_KINDS: tuple[WordingKind, ...] = ("instruction", "label_order", "separators", "shot_order", "shot_draw")
ROW_KINDS: tuple[RowKind, ...] = ("typos", "case")


class Variant(StrictModel):
    """One perturbation: what it changes of a prompt, or of every row. Accepted answers are never changed."""

    kind: PerturbationKind
    name: str
    """Unlike that of every other variant of its job."""
    template: str | None = None
    """Jinja source in place of the option's own."""
    instruction: str | None = None
    labels: list[str] | None = None
    """The labels in another order."""
    order: list[int] | None = None
    """Places of the examples in the order in which they are shown."""
    seed: int = Field(default=0, ge=0)
    """Of another draw of examples, and of typing errors."""


class VariantScores(StrictModel):
    """What an option scored under one variant."""

    kind: PerturbationKind
    name: str
    stats: list[list[float]]
    """The metric's statistics of every row, in the split's order."""


class KindLoss(StrictModel):
    """What the variants of one kind cost: quality of the option as it is minus that under a variant, from -1 to 1."""

    kind: PerturbationKind
    variants: int
    mean: float
    low: float
    high: float
    """95 % interval of the mean over these variants (paired bootstrap over rows)."""
    worst: float
    worst_low: float
    worst_high: float
    """The same of the variant that cost most. The greatest of several measured losses is too great on average."""
    worst_name: str


class Spread(StrictModel):
    """How much quality differs between wordings of a prompt: standard deviations, from 0 to 1."""

    wordings: int
    """Variants of the prompt from which it is estimated."""
    deviation: float
    """Of the qualities that the wordings would have on endlessly many rows: the variance that the choice of rows adds
    is taken out (`verdict.robustness`)."""
    low: float
    high: float
    """Its 95 % interval."""
    observed: float
    """Of the qualities measured, which differ by chance too."""


class Robustness(StrictModel):
    """An option re-scored on perturbed prompts and rows."""

    rows: int
    """Test rows, the first ones of the split; the option as it is was scored on them, too."""
    kinds: list[KindLoss]
    spread: Spread | None = None
    """None: fewer than two other wordings of its prompt were tried, or it has no prompt that could be worded otherwise.
    """

    @property
    def worst_kind(self) -> KindLoss:
        """The kind whose mean loss may be greatest, by which `constraints.robustness_points` is judged."""
        return max(self.kinds, key=lambda kind: kind.high)
