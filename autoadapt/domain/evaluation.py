"""Evaluation: how good a finished option is on a labelled file, and whether it is better than another one."""

from pydantic import Field

from autoadapt.domain.metric import Part
from autoadapt.domain.strict import StrictModel


class LabelQuality(StrictModel):
    """How often rows of one label were answered rightly."""

    label: str
    rows: int
    right: float
    """Share of these rows."""
    low: float
    high: float
    """Its 95 % interval (Wilson)."""


class EvaluatedOption(StrictModel):
    """One option on the rows of a file."""

    name: str
    """Of its folder."""
    option: str
    """Its number in the run that it comes from."""
    quality: float
    low: float
    high: float
    """95 % interval."""
    exported_quality: float
    """What its export states, on other rows."""
    labels: list[LabelQuality]
    """The worst first; empty: answers are no single labels."""
    parts: list[Part] = Field(default=[])
    """What the metric says of parts of the answers, such as their fields."""


class Difference(StrictModel):
    """The first option against the second on the same rows."""

    difference: float
    """Quality of the first minus that of the second."""
    low: float
    high: float
    """95 % interval of the difference."""
    p: float
    """Of the two-sided test that they are equally good."""
    both_right: int
    first_alone: int
    second_alone: int
    both_wrong: int
    """Rows by which of the two scored at least one half."""


class Evaluation(StrictModel):
    """What labelled rows show of an option, and of a second one beside it."""

    metric: str
    rows: int
    first: EvaluatedOption
    second: EvaluatedOption | None = None
    compared: Difference | None = None
    notes: list[str]
    """Rows that were left out, and why."""
