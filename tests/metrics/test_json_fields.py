"""Fields of JSON answers: exact for one value, F1 of sets for lists; validity by the schema; no odd answer crashes."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.domain.metric import AnsweredRow, Metric
from autoadapt.errors import UserError
from autoadapt.json_answers import AnswerSchema, NotJsonError, read_answer, read_json
from autoadapt.shelves import METRICS

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "nights": {"type": "integer"},
        "extras": {"type": "array", "items": {"type": "string"}},
        "guest": {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}},
    },
    "required": ["city"],
    "additionalProperties": False,
}
WANTED = {"city": "Rome", "nights": 2, "extras": ["tea", "view"], "guest": {"name": "Ann", "age": 30}}


def metric_with(**settings: Any) -> Metric:
    """The metric with the schema."""
    return METRICS.new("json_fields", {"json_schema": SCHEMA, **settings})


def row(answer: Any, *references: Any, **settings: Any) -> list[float]:
    """Statistics of an answer."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return metric_with(**settings).row(AnsweredRow("", text, tuple(map(json.dumps, references or (WANTED,)))))


def test_right_answer_scores_1_whatever_the_order() -> None:
    answer = {"guest": {"age": 30.0, "name": "ann"}, "extras": ["view", "tea"], "nights": 2, "city": " rome"}
    assert row(answer) == [1.0, 1.0, 6.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]


def test_scores_are_those_of_single_fields() -> None:
    answer = {"city": "Rome", "nights": 3, "extras": ["tea", "bath", "view"], "guest": {"name": "Ann"}}
    score, valid, right, wrong, missing, *fields = row(answer)
    assert fields == pytest.approx([1.0, 0.0, 0.8, 0.5])
    assert (valid, right, wrong, missing) == (1.0, 4.0, 2.0, 2.0)
    assert score == pytest.approx((1 + 0 + 0.8 + 1 + 0) / 5)


def test_average_over_values_is_micro_f1() -> None:
    metric = metric_with(average="values")
    answers = [{"city": "Rome"}, {"city": "Oslo", "nights": 1}]
    references = [{"city": "Rome", "nights": 2}, {"city": "Rome"}]
    stats = np.array([row(a, r) for a, r in zip(answers, references, strict=True)])
    assert metric.value(stats) == pytest.approx(2 * 1 / (2 * 1 + 2 + 2))


def test_null_is_as_good_as_absent_and_the_best_reference_counts() -> None:
    assert row({"city": "Rome", "nights": None}, {"city": "Rome"})[0] == 1.0
    assert row({"city": "Oslo"}, {"city": "Rome"}, {"city": "Oslo"})[0] == 1.0


def test_case_counts_where_the_settings_say_so() -> None:
    assert row({"city": "rome"}, {"city": "Rome"}, ignore_case=False)[0] == 0.0
    assert row({"nights": True}, {"nights": 1})[0] == 0.0


def test_answer_in_a_fenced_block_is_read() -> None:
    fenced = f"Here it is:\n```json\n{json.dumps(WANTED)}\n```\nAnything else?"
    assert row(fenced)[:2] == [1.0, 1.0]
    assert read_answer(f"```\n{json.dumps(WANTED)}\n```") == WANTED


def test_valid_is_what_satisfies_the_schema() -> None:
    assert row({"city": "Rome"})[1] == 1.0
    assert row({"nights": 2})[1] == 0.0
    assert row({"city": "Rome", "colour": "red"})[1] == 0.0


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no JSON",
        "[1, 2]",
        '"Rome"',
        '{"city": NaN}',
        '{"city": Infinity}',
        '{"city": "Rome", "city": "Oslo"}',
        '{"city":' * 40 + '"x"' + "}" * 40,
        '{"city":' * 100_000,
        "[" * 100_000,
        '{"nights": ' + "9" * 5000 + "}",
        "```json\n{\n```",
        '{"city": "Ro',
    ],
)
def test_answer_that_is_no_json_object_scores_0(answer: str) -> None:
    stats = row(answer)
    assert stats == [0.0, 0.0, 0.0, 0.0, 6.0, 0.0, 0.0, 0.0, 0.0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["city", "nights", "extras", "guest", "a.b", ""]), JSON, max_size=4), JSON)
def test_any_answer_has_finite_statistics(answer: dict[str, Any], other: Any) -> None:
    for text in (json.dumps(answer), json.dumps(other), '{"nights": 1e999}'):
        stats = row(text)
        assert len(stats) == 9
        assert np.isfinite(stats).all()
        assert 0 <= stats[0] <= 1


def test_parts_are_the_share_of_valid_answers_and_the_fields() -> None:
    metric = metric_with()
    stats = np.array([row({"city": "Rome"}, {"city": "Rome"}), row("x", {"city": "Rome", "nights": 1})])
    parts = {part.name: (part.rows, part.score) for part in metric.parts(stats)}
    assert parts == {"valid JSON of the schema": (2, 0.5), "city": (2, 0.5), "nights": (1, 0.0)}


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ('{"city": "Rome"}', None),
        ('{"city": 1}', "field 'city': 1 is not of type 'string'"),
        ("{}", "'city' is a required property"),
        ("[]", "it is JSON, but no object of fields"),
        ("Rome", "it is not valid JSON"),
        ('{"city": NaN}', "NaN is no JSON value"),
    ],
)
def test_reference_that_does_not_satisfy_the_schema_is_told(reference: str, said: str | None) -> None:
    mistake = metric_with().reference_mistake(reference)
    assert (mistake is None) if said is None else (said in (mistake or ""))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "array"}, "that of an object"),
        ({"type": "object"}, "names no fields"),
        ({"type": "object", "properties": 5}, "no valid JSON schema: properties"),
        ({"type": "object", "properties": {"a": {"type": "txt"}}}, "no valid JSON schema: properties.a.type"),
    ],
)
def test_schema_that_is_none_is_refused(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        AnswerSchema(schema)


def test_schema_fetches_nothing() -> None:
    schema = AnswerSchema({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:1/x.json"}}})
    assert "cannot be followed" in (schema.mistake({"a": 1}) or "")


def test_json_is_read_strictly() -> None:
    with pytest.raises(NotJsonError, match="stands twice"):
        read_json('{"a": {"b": 1, "b": 1}}')
