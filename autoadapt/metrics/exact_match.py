"""Share of free-text answers equal to a reference."""

import json
from typing import ClassVar, Literal

from autoadapt.domain.metric import AnsweredRow, AnswerKind, Metric


def normal(text: str) -> str:
    """Case and white space removed; JSON brought to one form (sorted keys), so that key order does not count."""
    folded = "".join(text.casefold().split())
    try:
        return json.dumps(json.loads(folded), sort_keys=True)
    except (ValueError, RecursionError):
        return folded


class ExactMatch(Metric):
    """1 when the answer equals a reference but for case, white space and JSON key order. Interval: Wilson (1927)."""

    answers: ClassVar[AnswerKind] = "text"
    interval: ClassVar[Literal["wilson", "bootstrap", "posterior"]] = "wilson"

    def row(self, answered: AnsweredRow) -> list[float]:
        return [float(normal(answered.prediction) in {normal(r) for r in answered.references})]
