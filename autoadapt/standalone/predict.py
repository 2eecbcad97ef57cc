"""Answers rows by this bundle. It needs the packages of requirements.txt and nothing of AutoAdapt.

python predict.py rows.jsonl > answers.jsonl

A row is a JSON text or a JSON object with the input's columns, one a line; a file may be csv, and `-` is standard
input. Every answer is a line of JSON with `answer` and `confidence`, in the order of the rows.
"""

import argparse
import csv
import hashlib
import importlib
import json
import math
import sys
from pathlib import Path
from typing import Any, TextIO

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
LEAST_PROBABILITY = 1e-12


class Bundle:
    """The option of this bundle, loaded.

    Args:
        device: `cpu` or `cuda`; None: a GPU where there is one.
    """

    def __init__(self, device: str | None = None) -> None:
        self.option = json.loads((HERE / "option.json").read_text(encoding="utf-8"))
        check_files(self.option["files"])
        self.parts = [load_part(part, device) for part in self.option["parts"]]

    def predict(self, texts: list[str]) -> list[dict[str, Any]]:
        """An answer with its confidence for every text; of a cascade also the part that gave it, 1 or 2."""
        answers: list[dict[str, Any]] = list(self.parts[0].answer(texts))
        cascade = self.option["cascade"]
        if cascade is None:
            return answers
        sure = [calibrated(answer, cascade["temperature"]) >= cascade["threshold"] for answer in answers]
        asked = [i for i, kept in enumerate(sure) if not kept]
        second = self.parts[1].answer([texts[i] for i in asked]) if asked else []
        for answer in answers:
            answer["part"] = 1
        for i, answer in zip(asked, second, strict=True):
            answers[i] = {**answer, "part": 2}
        return answers

    def text_of(self, row: Any) -> str:
        """The input of a row: a text, or the columns of an object joined as the option has learned them."""
        columns = self.option["columns"]["input"]
        if isinstance(row, str):
            return row
        if isinstance(row, dict) and all(column in row for column in columns):
            texts = [text_of_cell(row[column]) for column in columns]
            pairs = zip(columns, texts, strict=True)
            return texts[0] if len(columns) == 1 else "\n".join(f"{column}: {text}" for column, text in pairs)
        raise SystemExit(
            f"predict.py: a row is a text or an object with {', '.join(columns)}; this one is {row!r:.200}"
        )


def text_of_cell(value: Any) -> str:
    """The text of a cell, made as AutoAdapt makes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace("\x00", "")


def load_part(part: dict[str, Any], device: str | None) -> Any:
    """The module that answers with a part of this kind, loaded."""
    module = importlib.import_module(f"predict_{part['kind']}")
    return module.Option(HERE / part["folder"] / "model", device)


def check_files(files: dict[str, dict[str, Any]]) -> None:
    """Ends with a message where a file of the bundle is missing or was changed."""
    for name, expected in files.items():
        try:
            with (HERE / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            raise SystemExit(f"predict.py: {name} is missing or cannot be read") from None
        if digest != expected["sha256"]:
            raise SystemExit(f"predict.py: {name} was changed after the export (its SHA-256 differs)")


def calibrated(answer: dict[str, Any], temperature: float) -> float:
    """The confidence of an answer at a temperature.

    Numbers are rounded as they were when the threshold was chosen, so that the same rows are passed on.
    """
    if answer["log_probs"]:
        divided = [max(round(p, 4), math.log(LEAST_PROBABILITY)) / temperature for p in answer["log_probs"]]
        highest = max(divided)
        best = max(range(len(divided)), key=lambda k: answer["log_probs"][k])
        return math.exp(divided[best] - highest) / sum(math.exp(number - highest) for number in divided)
    if answer["confidence"] is None:
        return 0.0
    p = min(max(round(answer["confidence"], 6), LEAST_PROBABILITY), 1 - 1e-9)
    return 1 / (1 + math.exp(-(math.log(p) - math.log1p(-p)) / temperature))


def read_rows(source: TextIO, name: str) -> list[Any]:
    """The rows of a csv file, or of lines of JSON."""
    if name.endswith(".csv"):
        return list(csv.DictReader(source))
    rows = []
    for number, line in enumerate(source, 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise SystemExit(f"predict.py: {name}, line {number}: not valid JSON ({error})") from None
    return rows


def main() -> None:
    """Reads rows, answers them, and writes the answers to standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", default="-", help="a .jsonl or .csv file; - is standard input")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: a GPU where there is one")
    arguments = parser.parse_args()
    if arguments.rows == "-":
        rows = read_rows(sys.stdin, "-")
    else:
        with Path(arguments.rows).open(encoding="utf-8-sig", newline="") as file:
            rows = read_rows(file, arguments.rows)
    bundle = Bundle(arguments.device)
    for answer in bundle.predict([bundle.text_of(row) for row in rows]) if rows else []:
        shown = {name: value for name, value in answer.items() if name != "log_probs"}
        sys.stdout.write(json.dumps(shown, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
