"""What the labels of a teacher have bought, in words."""

import pytest

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.teacher import Labelling, TeacherLabels
from autoadapt.domain.usage import Usage
from autoadapt.domain.verdict import Paired
from autoadapt.verdict.bought_labels import bought_labels

LABELS = TeacherLabels(
    trial=3,
    candidate=Candidate(method="prompt", model="hosted", params={}),
    least_confidence=0.8,
    labelling=Labelling(answered=800, answered_before=[i + 1 for i in range(600)], unsure=200),
    usage=Usage(usd=0.5),
    validation_rows=50,
    sure_rows=40,
    sure_right=0.9,
)
PAIR = Paired(trial=9, other=7, rows=200, difference=-0.05, low=-0.08, high=-0.02, p=0.01)


@pytest.mark.parametrize(
    ("taught", "other", "pairs", "expected"),
    [
        (None, 7, [], "no option that learns from them was measured in full"),
        ((9, 500), None, [], "no option without them"),
        ((9, 500), 7, [], "were not both scored on test rows"),
        ((9, 500), 7, [PAIR], "changed quality by -5.0 points [-8.0, -2.0] on 200 test rows"),
        ((7, 500), 9, [PAIR], "changed quality by +5.0 points [+2.0, +8.0] on 200 test rows"),
    ],
)
def test_labels_are_weighed(
    taught: tuple[int, int] | None, other: int | None, pairs: list[Paired], expected: str
) -> None:
    bought = bought_labels(LABELS, 0.51, taught, other, pairs)
    assert bought.sentence.startswith("Labels by hosted (trial 3) for 600 rows cost $0.5100")
    assert expected in bought.sentence
    assert "It was sure enough of 75% of 800 rows; of such answers to validation rows, 90% are right (40 rows)." in (
        bought.sentence
    )
    assert (bought.labelled, bought.share_kept) == (600, 0.75)
