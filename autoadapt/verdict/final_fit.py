"""The recommended option trained once more on validation rows too, compared with the option as it was."""

from collections.abc import Sequence
from typing import Any

from autoadapt.domain.metric import Metric
from autoadapt.domain.option import trial_name
from autoadapt.domain.verdict import FinalFit
from autoadapt.verdict.comparisons import LEVEL, difference_text, paired
from autoadapt.verdict.intervals import interval

HEAD = "Final fit:"


def final_fit(
    metric: Metric, stats: tuple[Any, Any], number: int, rows: tuple[int, int], artifacts: Sequence[str], seed: int = 0
) -> FinalFit:
    """Compares an option with itself after its final fit, on the same test rows.

    Test rows have had no part in choosing the option, and whether the final fit is deployed hangs on them only where
    they show that it is worse, so that its quality on them is an honest estimate.

    Args:
        metric: of the task.
        stats: statistics of test rows after and before, shape (rows, statistics).
        number: of the option.
        rows: labelled rows from which it has learned after and before.
        artifacts: what the final fit has left.
        seed: of the draws.
    """
    after, before = stats
    pair = paired(metric, after, before, (number, number), seed)
    quality, (low, high) = metric.value(after), interval(metric, after, seed)
    worse = pair.high < 0 and pair.p < LEVEL
    by = difference_text(pair.difference, pair.low, pair.high)
    result = f"it has {quality:.3f} [{low:.3f}, {high:.3f}] on {pair.rows:,} test rows, {by} against before"
    deploy = f"deploy this one: {', '.join(artifacts)}"
    if worse:
        deploy = "it is worse than before, so deploy the option as it was"
    return FinalFit(
        trial=number,
        rows=rows[0],
        rows_before=rows[1],
        quality=quality,
        low=low,
        high=high,
        paired=pair,
        worse=worse,
        artifacts=list(artifacts),
        sentence=f"{HEAD} {trial_name(number)} was trained once more, on {rows[0]:,} labelled rows (validation rows "
        f"too) in place of {rows[1]:,}; {result}; {deploy}.",
    )
