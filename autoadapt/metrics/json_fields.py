"""How many fields of a JSON answer are right, and whether it satisfies the task's schema."""

from collections import Counter
from typing import Any, ClassVar, Literal

import numpy as np

from autoadapt.domain.metric import AnsweredRow, AnswerKind, Metric, Part
from autoadapt.domain.strict import StrictModel
from autoadapt.json_answers import AnswerSchema, NotJsonError, fields_of, normal_form, read_answer, read_json

ABSENT = -1.0
"""Statistic of a field that neither the answer nor the reference has."""


class JsonFields(Metric):
    """Scores of single fields, averaged over the fields of a row and then over rows; or F1 over all values.

    A field's score is 1 or 0 for one value, and the F1 of the two sets for a list, whose order does not count. A field
    that only the answer or only the reference has scores 0. An answer that is no JSON object scores 0 in all fields.
    Where a row has several references, the one with the greatest score counts. Statistics of a row: its score, whether
    the answer is valid, values that are right, wrong and missing, and the score of each field of the schema.
    """

    class Settings(StrictModel):
        """How answers are compared."""

        average: Literal["fields", "values"] = "fields"
        """`fields`: the mean over a row's fields, then over rows; `values`: F1 over the values of all rows (micro)."""
        ignore_case: bool = True
        """Whether upper and lower case are the same in texts."""
        json_schema: dict[str, Any] | None = None
        """The schema of answers; filled in from the task's `schema`."""

    answers: ClassVar[AnswerKind] = "text"
    parts_are: ClassVar[str] = "field"

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        given = self.settings.json_schema
        self._schema = None if given is None else AnswerSchema(given)

    def row(self, answered: AnsweredRow) -> list[float]:
        answer = read_answer(answered.prediction)
        valid = answer is not None and (self._schema is None or self._schema.mistake(answer) is None)
        fields = self._fields(answer or {})
        references = [self._fields(read_answer(reference) or {}) for reference in answered.references]
        compared = [self._compared(fields, reference) for reference in references]
        score, counts, by_field = max(compared, key=lambda one: one[0])
        score = score if answer is not None else 0.0
        names = self._schema.fields if self._schema is not None else ()
        return [score, float(valid), *counts, *(_field_score(name, by_field) for name in names)]

    def reference_mistake(self, reference: str) -> str | None:
        try:
            value = read_json(reference)
        except NotJsonError as error:
            return f"it is not valid JSON: {error}"
        if not isinstance(value, dict):
            return "it is JSON, but no object of fields"
        return None if self._schema is None else self._schema.mistake(value)

    def _fields(self, answer: dict[str, Any]) -> dict[str, Counter[str]]:
        """By field, its values in a form in which they are compared."""
        case = self.settings.ignore_case
        return {
            name: Counter(normal_form(one, case) for one in (value if isinstance(value, list) else [value]))
            for name, value in fields_of(answer).items()
            if value != []
        }

    @staticmethod
    def _compared(
        answer: dict[str, Counter[str]], reference: dict[str, Counter[str]]
    ) -> tuple[float, list[float], dict[str, float]]:
        """The mean over fields; values that are right, wrong and missing; and the score by field."""
        by_field, counts = {}, [0.0, 0.0, 0.0]
        for name in dict.fromkeys([*answer, *reference]):
            written, wanted = answer.get(name, Counter()), reference.get(name, Counter())
            right = (written & wanted).total()
            by_field[name] = 2 * right / (written.total() + wanted.total())
            for i, number in enumerate((right, written.total() - right, wanted.total() - right)):
                counts[i] += number
        score = sum(by_field.values()) / len(by_field) if by_field else 1.0
        return score, counts, by_field

    def value(self, stats: Any) -> float:
        if self.settings.average == "fields":
            return float(stats[:, 0].mean())
        right, wrong, missing = map(float, stats[:, 2:5].sum(axis=0))
        # where nothing is asked for and nothing is written, every valid answer is right
        return 2 * right / (2 * right + wrong + missing) if right + wrong + missing else float(stats[:, 0].mean())

    def parts(self, stats: Any) -> list[Part]:
        valid = "valid JSON of the schema" if self._schema is not None else "valid JSON"
        parts = [Part(name=valid, rows=len(stats), score=float(stats[:, 1].mean()))]
        for i, name in enumerate(self._schema.fields if self._schema is not None else ()):
            scores = stats[:, 5 + i]
            there = scores[scores != ABSENT]
            if len(there):
                parts.append(Part(name=name, rows=len(there), score=float(np.mean(there))))
        return parts


def _field_score(name: str, by_field: dict[str, float]) -> float:
    """Score of a field of the schema; of an object the mean over the fields in it."""
    inner = [score for field, score in by_field.items() if field == name or field.startswith(f"{name}.")]
    return sum(inner) / len(inner) if inner else ABSENT
