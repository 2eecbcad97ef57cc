"""Records what the pages show: outputs of real commands, and pictures of the report, of a run of the example.

    autoadapt search examples/support/task.yaml
    python docs/record.py runs/support               # everything
    python docs/record.py runs/support compare       # only these outputs, and no pictures

It writes ``docs/outputs/*.txt`` and ``docs/pictures/*.png``. Nothing in those files is written by hand. Chromium and
playwright are needed, as for the tests. Answers of `export` and `evaluate` are recorded too, so it takes a few minutes.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OUTPUTS, PICTURES = ROOT / "docs" / "outputs", ROOT / "docs" / "pictures"
COLUMNS = 88
"""Characters of a line, which fit the width of a page."""

COMMANDS = {
    "report": "autoadapt report runs/support",
    "report-all": "autoadapt report runs/support --all",
    "compare": "autoadapt compare runs/support examples/support/scenarios.yaml",
    "compare-one": "autoadapt compare runs/support --scenario volume=10k,price=2.69,hosting=always_on",
    "recommend": "autoadapt recommend runs/support --quality 0.5 --latency-p95-ms 5",
    "weights": "autoadapt recommend runs/support --weights quality=2,cost=1,latency=1",
    "frontier": "autoadapt frontier runs/support --export trials.csv --figure frontier.svg",
    "prices": "autoadapt prices h100",
    "init": "autoadapt init mine --data rows.csv",
    "export": "autoadapt export runs/support bundle",
    "export-floor": "autoadapt export runs/support floor-bundle --option 2",
    "standalone": "python bundle/predict.py labelled.jsonl",
    "predict": "autoadapt predict bundle labelled.jsonl --output answers.jsonl",
    "evaluate": "autoadapt evaluate bundle labelled.jsonl --against floor-bundle",
    "export-onnx": "autoadapt export runs/support onnx-bundle --onnx",
    "export-edge": "autoadapt export runs/support edge-bundle --target edge",
    "registry-add": "autoadapt registry add bundle --alias production",
    "registry-candidate": "autoadapt registry add onnx-bundle --alias candidate",
    "registry-list": "autoadapt registry list support",
    "registry-diff": "autoadapt registry diff support 1 2",
    "registry-promote": "autoadapt registry promote support 2",
    "registry-rollback": "autoadapt registry rollback support",
}
"""Name of a file in outputs/ -> the command whose output it is; each is run where the ones before it were."""
FIRST_LINES = {"standalone": 3}
"""Name -> how many lines of it are kept, where all would be too many."""


def main(run: Path, names: list[str]) -> None:
    """Records from one run folder, which is copied first: the outputs of these names, or without names everything."""
    OUTPUTS.mkdir(exist_ok=True)
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copytree(run, place / "runs" / "support")
        shutil.copytree(ROOT / "examples", place / "examples")
        write_rows(place)
        for name in names or COMMANDS:
            print(name, flush=True)
            command = COMMANDS[name]
            lines = printed(command, place)[: FIRST_LINES.get(name)]
            (OUTPUTS / f"{name}.txt").write_text("\n".join([f"$ {command}", *lines, ""]))
        if not names:
            record_pictures(place / "runs" / "support" / "report.html")


def write_rows(place: Path) -> None:
    """A spreadsheet's file of the example's messages, with semicolons, and forty of them as labelled lines of JSON."""
    import csv
    import json

    lines = (ROOT / "examples" / "support" / "messages.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    with (place / "rows.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["Text", "Category"])
        writer.writerows([row["text"], row["label"]] for row in rows)
    (place / "labelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:40]))


def printed(command: str, place: Path) -> list[str]:
    """The lines that a command prints, as they stand but for white space at their ends."""
    program, *arguments = command.split()
    words = [sys.executable, *(["-m", program] if program == "autoadapt" else []), *arguments]
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, check=False)
    text = done.stdout + (done.stderr if done.returncode else "")
    return [line.rstrip() for line in text.strip("\n").splitlines()]


@contextmanager
def opened_page(report: Path, scheme: str) -> Iterator[Any]:
    """The report in Chromium, in a light or dark scheme."""
    from playwright.sync_api import sync_playwright

    program = next(p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1200, "height": 780}, color_scheme=scheme)
        page.goto(report.resolve().as_uri())
        page.wait_for_selector("#answer .plot .main-svg")
        yield page
        browser.close()


def record_pictures(report: Path) -> None:
    """Pictures of the answer, the panel, and the tabs that the tutorial speaks of."""
    for scheme in ("light", "dark"):
        with opened_page(report, scheme) as page:
            page.screenshot(path=PICTURES / f"answer-{scheme}.png")
    with opened_page(report, "light") as page:
        page.locator("#what-if").screenshot(path=PICTURES / "what-if.png")
        for tab in ("money", "answers", "search"):
            page.click(f"#tab-{tab}")
            page.wait_for_timeout(1500)
            page.locator(f"#tab-{tab}").scroll_into_view_if_needed()
            page.evaluate("tab => document.getElementById('tab-' + tab).scrollIntoView()", tab)
            page.screenshot(path=PICTURES / f"{tab}.png")


if __name__ == "__main__":
    if len(sys.argv) < 2 or not (Path(sys.argv[1]) / "results.json").is_file() or {*sys.argv[2:]} - {*COMMANDS}:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
