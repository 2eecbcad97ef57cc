"""Versions of the registry in the terminal."""

import json
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from autoadapt.bundle.version_difference import Changed, VersionDifference
from autoadapt.bundle.versions import Version
from autoadapt.display.terminal.plain_text import plain, terminal
from autoadapt.display.text import value_text, with_interval


def print_versions(versions: Sequence[Version]) -> None:
    """A line for each version."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "version", "aliases", "added", "option", "quality [95 %]"):
        table.add_column(column, justify="right" if column == "version" else "left", no_wrap=column != "option")
    for version in versions:
        description = version.description
        quality = description.quality
        table.add_row(
            version.name,
            str(version.number),
            ", ".join(version.aliases) or "-",
            f"{version.record.added:%Y-%m-%d}",
            plain(f"{description.option}, {description.parts_text}"),
            with_interval(quality.value, (quality.low, quality.high)),
        )
    terminal().print(table if versions else "The registry is empty: autoadapt registry add BUNDLE")


def versions_json(versions: Sequence[Version]) -> str:
    """The same as JSON."""
    entries = [
        {
            "name": version.name,
            "version": version.number,
            "aliases": version.aliases,
            "added": version.record.added.isoformat(),
            "sha256": version.record.sha256,
            "task": version.description.task,
            "option": version.description.option,
            "quality": version.description.quality.model_dump(),
        }
        for version in versions
    ]
    return json.dumps(entries, indent=1, ensure_ascii=False)


def print_difference(found: VersionDifference) -> None:
    """Figures side by side, then what was changed, then the lines of the prompt."""
    console = terminal(soft_wrap=True)
    console.print(_table(found.figures, found))
    if found.changed:
        console.print()
        console.print(_table(found.changed, found))
    if found.prompt:
        console.print()
        for line in found.prompt:
            console.print(plain(line))
    elif not found.changed:
        console.print("Parameters, data, packages and prompt are the same.")


def _table(rows: Sequence[Changed], found: VersionDifference) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("", f"version {found.first}", f"version {found.second}"):
        table.add_column(column)
    for row in rows:
        table.add_row(plain(row.name), plain(_cell(row.before)), plain(_cell(row.after)))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return f"{len(value)} labels" if len(value) > 5 else ", ".join(map(str, value))
    return value_text(value)
