"""The report's tab of answers: a confusion matrix, rows on which options disagree, and samples."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autoadapt.display.answer import Answer
from autoadapt.display.report.trials import LONGEST
from autoadapt.domain.option import Option
from autoadapt.runs.answers import AnsweredExample

if TYPE_CHECKING:
    from autoadapt.runs.study import Study

MOST_LABELS = 16
"""Labels up to which a matrix is shown; of more, the pairs that are confused most often."""
MOST_CONFUSIONS = 8
MOST_COMPARED = 4
MOST_ROWS = 20
MOST_SAMPLES = 5

Answers = Mapping[int, Sequence[AnsweredExample]]


def answers(answer: Answer) -> dict[str, Any]:
    """Everything that the tab shows; the recommended option stands first."""
    study, first = answer.study, answer.study.recommendation.trial
    options = sorted((o for o in study.options if o.cascade is None), key=lambda o: o.trial != first)
    given = {o.trial: study.answered(o.trial) for o in options}
    options = [o for o in options if given[o.trial]]
    shown = options[0] if options else None
    return {
        "confusion": None if shown is None else confusion(study, shown, given[shown.trial], answer),
        "disagreements": _disagreements(options, given, answer),
        "samples": [{"title": answer.name(o), "trial": o.trial, "rows": _samples(given[o.trial])} for o in options],
    }


def confusion(study: "Study", option: Option, rows: Sequence[AnsweredExample], answer: Answer) -> dict[str, Any] | None:
    """What was answered in place of what; None: answers are no single labels."""
    raw = study.raw(option.trial)
    if raw is None or raw.free_text or any(len(row.expected) != 1 for row in rows):
        return None
    counts = Counter((row.expected[0], row.answer) for row in rows)
    labels = sorted({row.expected[0] for row in rows})
    answered = labels + sorted({row.answer for row in rows} - {*labels})
    pairs = [(n, a, b) for (a, b), n in counts.items() if a != b]
    worst = sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2]))[:MOST_CONFUSIONS]
    found: dict[str, Any] = {
        "name": answer.name(option),
        "rows": len(rows),
        "split": rows[0].split,
        "worst": [{"count": n, "expected": _cut(a), "answer": _cut(b)} for n, a, b in worst],
        "matrix": [],
        "answered": [_cut(label) for label in answered],
    }
    if len(answered) <= MOST_LABELS:
        totals = Counter(row.expected[0] for row in rows)
        found["matrix"] = [
            {
                "label": _cut(label),
                "total": totals[label],
                "cells": [
                    {
                        "count": counts[label, other],
                        "right": label == other,
                        "share": round(counts[label, other] / totals[label], 2),
                    }
                    for other in answered
                ],
            }
            for label in labels
        ]
    return found


def _disagreements(options: Sequence[Option], given: Answers, answer: Answer) -> dict[str, Any] | None:
    """Rows to which the best options give different answers; None: fewer than two options answered the same rows."""
    top = {o.trial for o in answer.top_options()}
    chosen = [o for o in options if o.trial in top]
    ranked = sorted(chosen[1:], key=lambda o: -o.best_known_quality[0])
    compared = [*chosen[:1], *ranked][:MOST_COMPARED]
    if len(compared) < 2:
        return None
    split = given[compared[0].trial][0].split
    by_row = [{row.id: row for row in given[o.trial] if row.split == split} for o in compared]
    common = [i for i in by_row[0] if all(i in rows for rows in by_row)]
    differing = [[rows[i] for rows in by_row] for i in common if len({rows[i].answer for rows in by_row}) > 1]
    # rows that the first option gets wrong and another one right say most
    differing.sort(key=lambda rows: (rows[0].right, not any(row.right for row in rows)))
    if not common:
        return None
    return {
        "names": [answer.name(o) for o in compared],
        "count": len(differing),
        "of": len(common),
        "split": split,
        "lost": sum(not rows[0].right and any(row.right for row in rows) for rows in differing),
        "won": sum(rows[0].right and not any(row.right for row in rows[1:]) for rows in differing),
        "rows": [
            {
                "input": rows[0].input[:LONGEST],
                "expected": " | ".join(rows[0].expected)[:LONGEST],
                "answers": [{"text": row.answer[:LONGEST], "right": row.right} for row in rows],
            }
            for rows in differing[:MOST_ROWS]
        ],
    }


def _samples(rows: Sequence[AnsweredExample]) -> list[dict[str, Any]]:
    """Some wrong and some right answers."""
    wrong, right = [r for r in rows if not r.right], [r for r in rows if r.right]
    return [
        {
            "right": row.right,
            "input": row.input[:LONGEST],
            "expected": " | ".join(row.expected)[:LONGEST],
            "answer": row.answer[:LONGEST],
        }
        for row in [*wrong[:MOST_SAMPLES], *right[:MOST_SAMPLES]]
    ]


def _cut(label: str) -> str:
    return label if len(label) <= 40 else label[:39] + "\N{HORIZONTAL ELLIPSIS}"
