"""Made-up documents about towns, with questions that they answer and questions that they do not."""

from pathlib import Path
from typing import Any

TOWNS = [
    "Arden",
    "Belmor",
    "Corvale",
    "Dunmere",
    "Elbrook",
    "Farnis",
    "Galden",
    "Hollow",
    "Ivers",
    "Jorvik",
    "Kestrel",
    "Lumen",
]
FACTS = {"mayor": "Mrs {}son", "river": "the {} Water", "bread": "{} rye", "founded": "in 1{:02d}4"}
NO_ANSWER = "no answer"


def fact(town: str, kind: str) -> str:
    """What is said of a town."""
    value = TOWNS.index(town) + 10 if kind == "founded" else town[:4]
    return FACTS[kind].format(value)


def write_documents(folder: Path) -> Path:
    """A folder with a file for each town; also what is no document."""
    (folder / "north").mkdir(parents=True)
    for i, town in enumerate(TOWNS):
        lines = [f"# {town}", *(f"The {kind} of {town}: {fact(town, kind)}." for kind in FACTS)]
        filler = f"Nobody in {town} minds the rain, and the market opens early when boats come in."
        file = folder / ("north" if i % 2 else "") / f"{town.lower()}.{'md' if i % 3 else 'txt'}"
        file.write_text("\n\n".join([*lines, filler]) + "\n", encoding="utf-8")
    (folder / ".hidden.txt").write_text("hidden")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return folder


def questions(count: int = 120) -> list[dict[str, Any]]:
    """Questions with their answers; every fifth is about what no document says."""
    rows = []
    for i in range(count):
        town, kind = TOWNS[i % len(TOWNS)], list(FACTS)[i // len(TOWNS) % len(FACTS)]
        asked = {"input": f"What is the {kind} of {town}? ({i})", "output": fact(town, kind)}
        rows.append({"input": f"Who sings in {town}? ({i})", "output": NO_ANSWER} if i % 5 == 4 else asked)
    return rows
