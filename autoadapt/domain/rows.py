"""Row: one labelled example, as frozen into the run folder."""

from autoadapt.domain.strict import StrictModel


class Row(StrictModel):
    """One labelled example."""

    id: int
    """Position in its source, from 0."""
    input: str
    outputs: list[str]
    """Accepted answers; the first is learned from."""
