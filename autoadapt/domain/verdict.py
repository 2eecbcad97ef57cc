"""Verdict: what may be believed of a study's winner, once its frontier was scored on test rows."""

from pydantic import Field

from autoadapt.domain.strict import StrictModel


class Paired(StrictModel):
    """Two options on the same rows."""

    trial: int
    other: int
    rows: int
    difference: float
    """Quality of the first minus that of the second."""
    low: float
    high: float
    """95 % interval of the difference."""
    p: float
    """Of the two-sided test that they are equally good, not yet corrected for other comparisons."""

    def turned(self) -> "Paired":
        """The same, seen from the other option."""
        change = {"trial": self.other, "other": self.trial, "difference": -self.difference}
        return self.model_copy(update={**change, "low": -self.high, "high": -self.low})


class Compared(Paired):
    """An option beside the best one."""

    p_holm: float
    """Corrected for all comparisons with the best one (Holm 1979)."""
    tied: bool
    """As good as the best one, as far as validation and test rows can tell."""


class Optimism(StrictModel):
    """By how much the score by which a winner was chosen flatters it; differences of quality, from -1 to 1."""

    trial: int
    chosen_by: float
    """Its quality on validation rows."""
    among: int
    """Options measured in full on the same rows."""
    expected: float
    """Flattery to expect of the highest of so many scores, from validation rows alone (bootstrap)."""
    seen: float | None = None
    """Validation minus test quality; None: not re-scored."""
    seen_low: float | None = None
    seen_high: float | None = None
    """Its 95 % interval, from those of both qualities."""


class Trained(StrictModel):
    """One option trained again on all rows with other seeds, scored on the test rows."""

    trial: int
    qualities: list[float]
    """By seed; the first is the option's own."""
    mean: float
    low: float
    high: float
    """95 % interval of the mean over seeds: rows and seeds both vary."""
    deviation: float
    """Standard deviation between seeds, the error of the rows taken out as they are the same."""


class CurvePoint(StrictModel):
    """Quality on test rows after training on a part of the training rows."""

    rows: int = Field(ge=1)
    quality: float
    low: float
    high: float
    """95 % interval over test rows."""


class Curve(StrictModel):
    """Quality against training rows, and what more rows would probably buy."""

    trial: int
    """Whose method and parameters were trained."""
    points: list[CurvePoint]
    """By rising rows; the last is the option itself."""
    more_rows: int
    """Further labelled rows that the forecast is about."""
    gain: float
    gain_low: float
    gain_high: float
    """Quality that they would probably add, and its 95 % band."""
    forecast: list[CurvePoint]
    """The fitted curve with its band, at rising rows."""


class Importance(StrictModel):
    """How much a parameter moved an objective within one method."""

    method: str
    objective: str
    parameter: str
    share: float
    """Of the variance that the parameters explain, from 0 to 1 (fANOVA)."""
    trials: int
    """Trials it was computed from."""


class Verdict(StrictModel):
    """What is written to ``verdict.json`` at the end of a search."""

    best: int
    """The option with the highest expected quality on validation rows, chosen before the test rows were opened."""
    compared: list[Compared]
    """Every other option of the frontier, and the baseline, beside the best one, on test rows."""
    paired: list[Paired]
    """All pairs, on test rows."""
    within_noise: list[int]
    """Options off the frontier that are beaten only by differences too small to tell from chance."""
    optimism: Optimism
    trained: list[Trained] = Field(default=[])
    """With `evaluation.seeds` above 1."""
    curve: Curve | None = None
    why: list[str]
    """Why the recommended option and not the others, a sentence each."""
    next: list[str]
    """What to try next, a sentence each."""
