"""One label that stands in files in several forms: as a number and as text, as 1 and as 1.0."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from autoadapt.domain.label_sets import labels_in, text_of_set
from autoadapt.domain.rows import Row
from autoadapt.tasks.tables import Table

WHOLE_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(?:\.0+)?")
"""A whole number as programs write it: 012 is a text."""


def forms_notes(tables: Sequence[Table]) -> list[str]:
    """What a reader of a search should know of labels that are text here and numbers there; empty: all are alike."""
    if len({form for table in tables for form in table.forms}) < 2:
        return []
    described = "; ".join(f"{table.name}: {' and '.join(sorted(table.forms))}" for table in tables)
    return [f'labels are written in several forms ({described}); 1 and "1" are one label']


def with_known_labels(rows: list[Row], labels: Sequence[str], sets: bool) -> tuple[list[Row], dict[str, str]]:
    """Rows in which a whole number that is no label is the label of the same value, and what was read as which label.

    Args:
        rows: of one split.
        labels: that are known.
        sets: whether the answer of a row is the text of a set of labels.
    """
    given = set(labels)
    values = Counter(filter(None, map(_value, labels)))
    known = {_value(label): label for label in labels if values[_value(label) or ""] == 1}
    read: dict[str, str] = {}

    def known_one(label: str) -> str:
        if label in given or (value := _value(label)) is None or value not in known:
            return label
        return read.setdefault(label, known[value])

    def output(text: str) -> str:
        return text_of_set([known_one(label) for label in labels_in(text)]) if sets else known_one(text)

    changed = [[output(text) for text in row.outputs] for row in rows]
    if not read:
        return rows, read
    return [row.model_copy(update={"outputs": outputs}) for row, outputs in zip(rows, changed, strict=True)], read


def read_as_note(name: str, read: Mapping[str, str]) -> str:
    """What a reader should know of labels that were read as others.

    Args:
        name: of the split.
        read: as it stands in the file -> as it was read.
    """
    shown = ", ".join(f"'{label}' as '{known}'" for label, known in sorted(read.items())[:3])
    return f"{name}: labels are read as the known ones of the same value: {shown}"


def _value(label: str) -> str | None:
    """The whole number that a label is, in its shortest form; None: it is none."""
    found = WHOLE_NUMBER.fullmatch(label)
    return found[1] if found else None
