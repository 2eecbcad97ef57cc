"""Verdict: how far a study's result can be trusted, once its frontier was scored on test rows."""

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

    def reversed(self) -> "Paired":
        """The same comparison with the two options exchanged."""
        exchanged = {"trial": self.other, "other": self.trial, "difference": -self.difference}
        return self.model_copy(update={**exchanged, "low": -self.high, "high": -self.low})


class Compared(Paired):
    """An option compared with the best one."""

    p_holm: float
    """Corrected for all comparisons with the best one (Holm 1979)."""
    tied: bool
    """Neither validation nor test rows show that it is worse than the best one."""


class Optimism(StrictModel):
    """By how much the validation score of the recommended option (or the best one, where none is) is too high;
    differences of quality, from -1 to 1."""

    trial: int
    validation_quality: float
    """The score by which it was chosen."""
    options: int
    """Options measured in full on the same rows among which it was chosen: of a cheaper option than the best those that
    cost no more and are no worse by any other objective that is known exactly."""
    expected: float | None = None
    """By how much the score of an option chosen so is too high on average, from validation rows alone (bootstrap of the
    choice); None: it is a cascade, whose score is cross-fitted."""
    expected_low: float | None = None
    expected_high: float | None = None
    """Within which this option's score is too high, with 95 %, from validation rows alone."""
    observed: float | None = None
    """Validation minus test quality; None: not scored on test rows."""
    observed_low: float | None = None
    observed_high: float | None = None
    """Within which its score is too high, with 95 %, by test rows: validation quality less the interval of test
    quality."""


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
    """Standard deviation between seeds; all seeds are scored on the same rows, so these add nothing to it."""


class FinalFit(StrictModel):
    """The recommended option trained once more on validation rows too, when nothing was left to choose by them."""

    trial: int
    """The recommended option; of a cascade, each part that learns from rows was trained once more."""
    rows: int
    """Labelled rows from which it has learned."""
    rows_before: int
    """Those from which the option has learned."""
    quality: float
    low: float
    high: float
    """On test rows, with its 95 % interval. They have had no part in any choice."""
    paired: Paired
    """It against the option as it was (both by the option's number), on the same test rows."""
    worse: bool
    """Whether test rows show that it is worse than the option as it was, which is then the one to deploy."""
    artifacts: list[str]
    """Folders in the run folder that hold what was trained."""
    sentence: str
    """All of this in words."""


class CurvePoint(StrictModel):
    """Quality on test rows after training on a part of the training rows."""

    rows: int = Field(ge=1)
    quality: float
    low: float
    high: float
    """95 % interval over test rows."""


class Curve(StrictModel):
    """Quality against training rows, and the gain to expect of more rows."""

    trial: int
    """Whose method and parameters were trained."""
    points: list[CurvePoint]
    """By rising rows; the last is the option itself."""
    more_rows: int
    """Further labelled rows for which the gain is forecast."""
    gain: float
    gain_low: float
    gain_high: float
    """Quality that they would probably add, with its 95 % band."""
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


class Defaults(StrictModel):
    """The candidates that a study begins with before it searches: those that the search space, the methods and the
    families of models name first. Simple methods of the floor and candidates of earlier runs are none of them."""

    number: int
    """How many there are."""
    measured: list[int]
    """Trials of those that were measured in full."""
    refused: int = 0
    """Of the others, how many are known not to work, so that they were not begun."""
    best: int | None = None
    """The one of the highest expected quality on validation rows among `measured`, chosen before test rows are opened;
    of equals one of the frontier. Trained ones whose weights were deleted do not count. None: there is none."""


class Gain(StrictModel):
    """The recommended option against the best default: what the search has added to what it began with."""

    defaults: Defaults
    trial: int | None
    """The recommended option; None: none is recommended."""
    is_default: bool = False
    """Whether the recommended option is itself a default."""
    quality: Paired | None = None
    """Its quality minus that of the best default on the same test rows; None: there is nothing to compare it with, or
    they were not both scored."""
    cost_usd_per_1k: tuple[float, float] | None = None
    """USD of 1,000 queries of the recommended option, and of the best default."""
    latency_ms: tuple[float, float] | None = None
    """The same for latency: p95 under load where both were measured so, else p95 of single requests, or the median
    where one of them has fewer than 59 samples."""
    sentence: str
    """All of this in words."""


class BoughtLabels(StrictModel):
    """What the labels of a teacher have bought: the best option that learns from them against the best one of the
    methods that could but does not."""

    teacher: int
    """The trial whose prompt has labelled."""
    model: str
    """Its model."""
    labelled: int
    """Rows that it was sure enough of."""
    share_kept: float
    """Of the rows that it has answered."""
    sure_rows: int
    """Validation rows that it was sure enough of in its trial."""
    sure_right: float | None
    """Mean score of its answers to these; None: there are none."""
    usd: float
    """What labelling has cost, failed attempts included."""
    trial: int | None
    """The option that learns from labels, by expected quality on validation rows; None: none was measured in full."""
    other: int | None
    """The option that learns from none."""
    rows: int
    """Labels that `trial` learns from."""
    quality: Paired | None
    """Quality of `trial` minus that of `other` on the same test rows; None: they were not both scored."""
    sentence: str
    """All of this in words."""


class Unmeasured(StrictModel):
    """A method on a family of models of which no candidate was measured in full."""

    method: str
    family: str
    trials: int
    """Candidates of it that were begun."""
    reason: str
    """Why none was measured, as far as that is known: a clause."""

    @property
    def name(self) -> str:
        """Such as ``full on encoder models``."""
        return f"{self.method} on {self.family} models"


class LabelScore(StrictModel):
    """How often rows of one label were answered rightly."""

    label: str
    validation_rows: int
    validation_right: float
    """Share of these rows."""
    test_rows: int
    test_right: float


class PartScore(StrictModel):
    """Mean score of a part of the answers, such as one field of them."""

    part: str
    validation_rows: int
    validation_score: float
    test_rows: int
    test_score: float


class Verdict(StrictModel):
    """What is written to ``verdict.json`` at the end of a search."""

    gain: Gain | None = None
    """What the search has gained over the candidates that it began with; None: an earlier version has written it."""
    bought_labels: BoughtLabels | None = None
    """What the labels of a teacher have bought; None: no rows were labelled."""
    unmeasured: list[Unmeasured] = Field(default=[])
    """Methods of which no candidate was measured in full, on each family of models that they suit."""
    best: int
    """The option with the highest expected quality on validation rows, chosen before the test rows were opened."""
    compared: list[Compared]
    """Every other option of the frontier, and the baseline, compared with the best one on test rows."""
    paired: list[Paired]
    """All pairs, on test rows."""
    within_noise: list[int]
    """Dominated options whose differences from the options that dominate them are within measurement error."""
    scored_parts: list[int] = Field(default=[])
    """Dominated trials that were scored on test rows because they may be useful parts of cascades."""
    split_differences: list[str] = Field(default=[])
    """What is different in test rows, a clause each; empty: they may be from the same source as validation rows."""
    labels: list[LabelScore] = Field(default=[])
    """Of the recommended option (or the best one), the worst on test rows first; empty: it is a cascade, or answers are
    no single labels."""
    parts: list[PartScore] = Field(default=[])
    """What the metric says of parts of the answers of the same option, such as their fields, in its order."""
    parts_are: str = "part"
    """What one of them is called."""
    metric_notes: list[str] = Field(default=[])
    """What the metric itself says of its figures, a sentence each."""
    optimism: Optimism
    final_fit: FinalFit | None = None
    """None: it was not made, because nothing is recommended that learns from rows, or the budget did not pay for it."""
    trained: list[Trained] = Field(default=[])
    """With `evaluation.seeds` above 1."""
    curve: Curve | None = None
    waited_share: float = 0.0
    """Share of the time of answering in which answers are known to have waited for a core that something else used."""
    why: list[str]
    """Why the recommended option and not the others, one sentence per option."""
    next: list[str]
    """What to try next, one sentence per suggestion."""
