"""The pages of the documentation and the README as tests read them: their fenced blocks."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(r'^( *)```(\w*)(?: title="([^"]*)")?[^\n]*\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    title: str
    text: str


def pages() -> list[Path]:
    """Every page that is written by hand."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path | None = None) -> list[Block]:
    """The blocks of a page, or of all."""
    chosen = pages() if page is None else [page]
    return [
        Block(str(one.relative_to(ROOT)), found[2], found[3] or "", found[4])
        for one in chosen
        for found in FENCE.finditer(one.read_text())
    ]
