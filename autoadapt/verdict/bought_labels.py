"""What the labels of a teacher have bought, in words."""

from collections.abc import Sequence

from autoadapt.domain.teacher import TeacherLabels
from autoadapt.domain.verdict import BoughtLabels, Paired
from autoadapt.verdict.comparisons import difference_text, pairs_with


def bought_labels(
    labels: TeacherLabels,
    usd: float,
    taught: tuple[int, int] | None,
    other: int | None,
    pairs: Sequence[Paired],
) -> BoughtLabels:
    """What labels cost, and how they changed quality on test rows.

    Args:
        labels: that a teacher has given.
        usd: that labelling has cost.
        taught: the best option that learns from them, and from how many; None: none was measured in full.
        other: the best option of the same methods that does not; None: there is none.
        pairs: options compared on test rows.
    """
    trial, rows = (None, 0) if taught is None else taught
    quality = None if trial is None or other is None else pairs_with(other, pairs).get(trial)
    return BoughtLabels(
        teacher=labels.trial,
        model=labels.candidate.model,
        labelled=labels.kept,
        share_kept=labels.share_kept,
        sure_rows=labels.sure_rows,
        sure_right=labels.sure_right,
        usd=usd,
        trial=trial,
        other=other,
        rows=rows,
        quality=quality,
        sentence=_sentence(labels, usd, trial, other, rows, quality),
    )


def _sentence(
    labels: TeacherLabels, usd: float, trial: int | None, other: int | None, rows: int, quality: Paired | None
) -> str:
    done = labels.labelling
    text = f"Labels by {labels.candidate.model} (trial {labels.trial}) for {labels.kept:,} rows cost ${usd:.4f}"
    if trial is None:
        text += "; no option that learns from them was measured in full"
    elif other is None:
        text += f"; no option without them was measured in full that trial {trial} could be compared with"
    elif quality is None:
        text += (
            f"; trial {trial}, which learns from {rows:,}, and trial {other}, from none, were not both scored on test"
        )
        text += " rows"
    else:
        change = difference_text(quality.difference, quality.low, quality.high)
        text += (
            f" and changed quality by {change} on {quality.rows} test rows: trial {trial}, which learns from {rows:,}"
        )
        text += f", against trial {other}, from none"
    text += f". It was sure enough of {labels.share_kept:.0%} of {done.answered:,} rows"
    if labels.sure_right is not None:
        text += f"; of such answers to validation rows, {labels.sure_right:.0%} are right ({labels.sure_rows} rows)"
    return text + "."
