"""Share of free-text answers equal to a reference."""

import contextlib
import json
import unicodedata
from typing import ClassVar, Literal

from autoadapt.domain.metric import AnsweredRow, AnswerKind, Metric
from autoadapt.domain.strict import StrictModel


class ExactMatch(Metric):
    """1 when the answer equals a reference but for case, white space and JSON key order. Interval: Wilson (1927)."""

    class Settings(StrictModel):
        """What makes no difference."""

        ignore_case: bool = True
        """Upper and lower case."""
        ignore_space: bool = True
        """White space, wherever it stands."""
        ignore_punctuation: bool = False
        """Every character that Unicode calls punctuation."""

    answers: ClassVar[AnswerKind] = "text"
    interval: ClassVar[Literal["wilson", "bootstrap", "posterior"]] = "wilson"

    def row(self, answered: AnsweredRow) -> list[float]:
        return [float(self.normal(answered.prediction) in {self.normal(r) for r in answered.references})]

    def normal(self, text: str) -> str:
        """The text without what makes no difference; JSON is brought to one form, so that key order does not count."""
        folded = text.casefold() if self.settings.ignore_case else text
        if self.settings.ignore_space:
            folded = "".join(folded.split())
        with contextlib.suppress(ValueError, RecursionError):
            folded = json.dumps(json.loads(folded), sort_keys=True)
        if self.settings.ignore_punctuation:
            folded = "".join(c for c in folded if not unicodedata.category(c).startswith("P"))
        return folded
