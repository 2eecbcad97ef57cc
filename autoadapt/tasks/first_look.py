"""A first look at a file of labelled rows: its columns with samples, which of them is what, and what answers are."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from autoadapt.domain.metric import AnswerKind
from autoadapt.errors import Exit, UserError, did_you_mean
from autoadapt.json_answers import read_answer
from autoadapt.tasks.spellings import spellings
from autoadapt.tasks.tables import FORMATS, as_text, list_in, records_of

INPUTS = (
    "input", "text", "prompt", "question", "message", "sentence", "review", "document", "query", "content", "body",
)  # fmt: skip
OUTPUTS = ("output", "label", "answer", "completion", "target", "category", "class", "intent", "response", "topic")
LOOKED_AT = 20_000
FEWEST_ROWS = 50
"""A fifth of these is the fewest validation rows that a search takes."""
SAMPLES = 3
LONGEST_LABEL = 80
METRICS: dict[str, AnswerKind] = {
    "accuracy": "label",
    "macro_f1": "label",
    "micro_f1": "labels",
    "exact_match": "text",
    "rouge_l": "text",
    "json_fields": "text",
}
"""Metrics that are proposed -> the kind of answers that they take."""


@dataclass(frozen=True)
class Answers:
    """What the answers of a column are."""

    metric: str
    says: str
    """In a few words, such as ``8 labels; the most frequent is right 13% of the time``."""

    @property
    def kind(self) -> AnswerKind:
        """Labels, sets of labels or free text."""
        return METRICS[self.metric]


@dataclass(frozen=True)
class FirstLook:
    """The first rows of a file."""

    path: Path
    records: list[dict[str, Any]]
    form: str
    """How the file is read, such as ``semicolons, Windows-1252``; empty where nothing is unusual."""
    notes: tuple[str, ...]
    more: bool
    """Whether it has more rows than were looked at."""

    @cached_property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return list(self.records[0])

    def samples(self, column: str) -> list[str]:
        """The first values of a column that are not empty, as text."""
        filled = (text for record in self.records if (text := as_text(record.get(column))).strip())
        return [text for text, _ in zip(filled, range(SAMPLES), strict=False)]

    def proposed(self, source: str | None = None, answer: str | None = None) -> tuple[str, str, bool]:
        """The columns with the text and with the answer, and whether they are clear by their names or were given.

        Args:
            source: column with the text, where the user has named it.
            answer: column with the answer, where the user has named it.

        Raises:
            UserError: exit code 3: such a column is not there, or one column is named for both.
        """
        wrong = [name for name in (source, answer) if name is not None and name not in self.columns]
        if wrong:
            hints = " ".join(f"no column '{name}': {did_you_mean(name, self.columns)}" for name in wrong)
            raise UserError(f"{self.path}: {hints}", Exit.DATA)
        if source is not None and source == answer:
            raise UserError(f"{self.path}: column '{source}' cannot hold both the text and the answer", Exit.DATA)
        named_source = source or self._by_name(INPUTS, answer)
        named_answer = answer or self._by_name(OUTPUTS, named_source)
        clear = named_source is not None and named_answer is not None
        found_source = named_source or self._longest({named_answer})
        found_answer = named_answer or self._fewest({found_source})
        return found_source, found_answer, clear

    def answers(self, column: str, merged: Mapping[str, str] | None = None) -> Answers:
        """What the answers are, and the metric that suits them.

        Args:
            column: that holds them.
            merged: labels that are read as another one.

        Raises:
            UserError: exit code 3: there are none, or all are the same.
        """
        values = [value for record in self.records if (value := record.get(column)) is not None and str(value).strip()]
        if not values:
            raise UserError(f"{self.path}: column '{column}' is empty; name another one with --output", Exit.DATA)
        if all(list_in(value) is not None for value in values):
            return Answers("micro_f1", "rows have a set of labels each")
        if all(map(_is_object, values)):
            return Answers(
                "json_fields", "JSON objects; with a JSON schema in a file give `task: extract` and `schema: FILE` here"
            )
        merged = {} if merged is None else merged
        counts = Counter(merged.get(text, text) for text in map(as_text, values))
        if len(counts) == 1:
            raise UserError(
                f"{self.path}: column '{column}' says '{next(iter(counts))[:LONGEST_LABEL]}' in every row, so there is "
                "nothing to decide; name another one with --output, or add rows of other labels",
                Exit.DATA,
            )
        if len(counts) <= max(2, len(values) // 4) and max(map(len, counts)) <= LONGEST_LABEL:
            share = counts.most_common(1)[0][1] / len(values)
            says = f"{len(counts)} labels; the most frequent is right {share:.0%} of the time"
            return Answers("macro_f1" if share > 0.6 else "accuracy", says)
        words = sum(len(text.split()) * count for text, count in counts.items()) / len(values)
        if words < 3:
            return Answers("exact_match", "many different short answers")
        return Answers("rouge_l", "free text; needs pip install 'autoadapt[text]'; alternatives: exact_match, bleu")

    def spellings(self, column: str) -> list[dict[str, int]]:
        """Labels of a column that differ only by case or white space, with their counts."""
        kind = self.answers(column).kind
        if kind == "text":
            return []
        counts: Counter[str] = Counter()
        for record in self.records:
            if kind == "labels":
                counts.update(as_text(label).strip() for label in list_in(record.get(column)) or [])
            elif (text := as_text(record.get(column))).strip():
                counts[text] += 1
        return spellings(counts)

    def _by_name(self, usual: tuple[str, ...], taken: str | None) -> str | None:
        lower = {column.strip().lower(): column for column in self.columns if column != taken}
        return next((lower[name] for name in usual if name in lower), None)

    def _texts(self, column: str) -> list[str]:
        return [text for record in self.records if (text := as_text(record.get(column))).strip()]

    def _longest(self, taken: set[str | None]) -> str:
        """The column with the longest texts."""
        free = [column for column in self.columns if column not in taken]
        return max(free, key=lambda column: sum(map(len, self._texts(column))))

    def _fewest(self, taken: set[str | None]) -> str:
        """The column with the fewest different values, but more than one."""
        free = [column for column in self.columns if column not in taken]
        different = {column: len(set(self._texts(column))) for column in free}
        return min(free, key=lambda column: (different[column] < 2, different[column]))


def _is_object(value: Any) -> bool:
    """Whether a cell holds a JSON object, or its text."""
    return isinstance(value, dict) or (
        isinstance(value, str) and value.lstrip()[:1] == "{" and bool(read_answer(value))
    )


def first_look(path: Path, encoding: str | None = None) -> FirstLook:
    """Reads the first rows of a file.

    Args:
        path: csv, jsonl, parquet or xlsx.
        encoding: of a text file; None: by its bytes.

    Raises:
        UserError: exit code 3: it cannot be read, or holds no table of two columns and some rows.
    """
    if path.suffix.lower() == "":
        raise UserError(f"{path}: unknown kind of file; its name should end in one of {', '.join(FORMATS)}", Exit.DATA)
    read, more = records_of(path, encoding), False
    records: list[dict[str, Any]] = []
    for _, record in read.rows:
        if len(records) == LOOKED_AT:
            more = True
            break
        records.append(record)
    if not records:
        raise UserError(f"{path}: no rows; the first line should name columns, and rows follow", Exit.DATA)
    if len(records[0]) < 2:
        raise UserError(
            f"{path}: only one column ('{next(iter(records[0]), '')[:LONGEST_LABEL]}'); a task needs one with the text "
            "and one with the answer, parted by commas, semicolons, tabs or bars",
            Exit.DATA,
        )
    if len(records) < FEWEST_ROWS:
        raise UserError(f"{path}: {len(records)} rows; give at least {FEWEST_ROWS}", Exit.DATA)
    return FirstLook(path, records, read.form, tuple(read.notes), more)
