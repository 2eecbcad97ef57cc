"""SECURITY.md: every test that it names exists, so that no line of it is a promise that nothing holds."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_line_names_a_test_that_exists() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    defined = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named - defined == set()
    table = text.partition("## What is never trusted")[2].partition("##")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 15
    assert [row for row in rows if "`test_" not in row] == []
