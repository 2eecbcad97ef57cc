"""Made-up rows with a set of labels each: what tests of such tasks share."""

from itertools import combinations
from pathlib import Path

from conftest import TEXTS
from job_runs import SPLITS, JobRun

from autoadapt.domain.jobs import Fit
from autoadapt.domain.label_sets import text_of_set
from autoadapt.domain.model import ModelReference
from autoadapt.domain.rows import Row
from autoadapt.files import write_rows

LABELS = sorted(TEXTS)
SETS = [list(chosen) for size in range(len(LABELS) + 1) for chosen in combinations(LABELS, size)]
"""Every set of the labels: the empty one first, all labels last."""


def set_rows(count: int) -> list[dict[str, object]]:
    """Distinct texts that name things of no, one, two or three kinds, and the kinds; a seventh of the rows has none."""
    rows: list[dict[str, object]] = []
    for i in range(count):
        # sets follow each other in an order that does not go with the order of the things
        labels = SETS[[0, 1, 4, 2, 5, 3, 6, 7, 1, 2, 4][i % 11]]
        things = [TEXTS[label][(i // 11 + k) % len(TEXTS[label])] for k, label in enumerate(labels)]
        rows.append({"text": f"{' and '.join(things) or 'nothing at all'} no. {i}", "label": labels})
    return rows


class LabelSetRun(JobRun):
    """Jobs on rows with a set of labels each.

    Args:
        root: of the run folder.
        model: on which jobs are done.
    """

    def __init__(self, root: Path, model: ModelReference) -> None:
        super().__init__(root, model)
        self.metric = "micro_f1"
        rows = [
            Row(id=i, input=str(r["text"]), outputs=[text_of_set(map(str, r["label"]))])  # type: ignore[call-overload]
            for i, r in enumerate(set_rows(sum(SPLITS.values())))
        ]
        for split, size in SPLITS.items():
            write_rows(root / "data" / f"{split}.jsonl", rows[:size])
            rows = rows[size:]

    def fit_sets(self, method: str, **params: object) -> Fit:
        """A job that fits."""
        return self.fit(method, params=params, multi_label=True)
