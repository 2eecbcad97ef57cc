"""TrialState: where a trial stands; one enumeration for samplers, counts, tables and exports."""

from enum import StrEnum


class TrialState(StrEnum):
    """Where a trial stands."""

    RUNNING = "running"
    """A job of it runs or waits for a slot."""
    PAUSED = "paused"
    """A rung was measured; the sampler has not promoted it yet."""
    COMPLETE = "complete"
    """All of the work was done."""
    STOPPED_EARLY = "stopped early"
    """A part of the work was done, and more was not worth its cost or could not be paid."""
    FAILED = "failed"
    CACHED = "cached"
    """It repeats another trial's candidate and was answered from that one at no cost."""
    REFUSED = "refused"
    """Its candidate is known not to work, so that nothing was run."""
