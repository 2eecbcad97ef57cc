"""Row: one labelled example, as frozen into the run folder."""

from pathlib import Path

from autoadapt.domain.task import Words


class Row(Words):
    """One labelled example."""

    id: int
    """Position in its source, from 0."""
    input: str
    outputs: list[str]
    """Accepted answers; the first is learned from."""


def read_rows(path: Path, limit: int | None = None) -> list[Row]:
    """The first `limit` rows of a file written by `write_rows` (all by default)."""
    rows: list[Row] = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if limit is not None and len(rows) >= limit:
                break
            rows.append(Row.model_validate_json(line))
    return rows


def write_rows(path: Path, rows: list[Row]) -> None:
    """Writes one JSON object per line."""
    path.write_text("".join(row.model_dump_json() + "\n" for row in rows), encoding="utf-8")
