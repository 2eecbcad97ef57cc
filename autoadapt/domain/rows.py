"""Row: one labelled example, as frozen into the run folder."""

from collections.abc import Sequence

from autoadapt.domain.strict import StrictModel


class Row(StrictModel):
    """One labelled example."""

    id: int
    """Position in its source, from 0."""
    input: str
    outputs: list[str]
    """Accepted answers; the first is learned from."""


def joined_input(columns: Sequence[str], texts: Sequence[str]) -> str:
    """One input of several columns, such as question and passage: a line ``COLUMN: TEXT`` for each."""
    return "\n".join(f"{column}: {text}" for column, text in zip(columns, texts, strict=True))


def input_parts(columns: Sequence[str], text: str) -> list[str]:
    """The texts that `joined_input` has joined; the whole text where there are no columns, or where it is another one.

    Args:
        columns: in their order.
        text: joined.
    """
    parts, rest = [], f"\n{text}"
    for i, column in enumerate(columns):
        head = f"\n{column}: "
        if not rest.startswith(head):
            return [text]
        rest = rest[len(head) :]
        end = rest.find(f"\n{columns[i + 1]}: ") if i + 1 < len(columns) else len(rest)
        if end < 0:
            return [text]
        parts.append(rest[:end])
        rest = rest[end:]
    return parts or [text]
