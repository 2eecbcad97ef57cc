"""Whether a bundle answers as the run did: it is loaded by its own predict.py, in a process without AutoAdapt.

An option of a family of another package has no predict.py; AutoAdapt loads it in a fresh process.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autoadapt.bundle.description import Checked, Handover
from autoadapt.bundle.sources import PartSource, Source
from autoadapt.domain.jobs import Devices
from autoadapt.errors import Exit, UserError
from autoadapt.verdict.calibration import SureRows, calibrated
from autoadapt.worker.place import device_environment

SHOWN = 3
"""Rows that differ, shown in the message."""
WITHOUT_AUTOADAPT = (
    "import runpy, sys; sys.modules['autoadapt'] = None; sys.argv = sys.argv[1:]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""Runs predict.py in a process in which AutoAdapt cannot be imported."""
BY_AUTOADAPT = """\
import json, sys
from autoadapt.bundle.loaded import Bundle
with open(sys.argv[2], encoding="utf-8") as rows:
    texts = [json.loads(line) for line in rows]
for prediction in Bundle.load(sys.argv[1]).predict(texts):
    print(json.dumps({"answer": prediction.answer}))
"""


def check(source: Source, folder: Path, devices: Devices, labels: Sequence[str]) -> Checked:
    """Answers the rows that the run has answered, and compares every answer.

    Args:
        source: what the bundle was made of.
        folder: of the bundle, with everything that answering needs.
        devices: where it answers, with as many threads as in the run.
        labels: of the task; empty for free text.

    Raises:
        UserError: predict.py fails, or an answer differs.
    """
    expected = expected_answers(source.parts, source.cascade, labels)
    answers = answers_of(folder, [row.input for row in source.rows], devices)
    if len(answers) != len(expected):
        raise UserError(
            f"the bundle gave {len(answers)} answers to {len(expected)} rows, so that it was not exported", Exit.DATA
        )
    different = [
        f"  row {row.id}: {before!r:.80} in the run, {after!r:.80} by the bundle"
        for row, before, after in zip(source.rows, expected, answers, strict=True)
        if before != after
    ]
    split = source.parts[0].split
    if different:
        raise UserError(
            f"the bundle answers {len(different)} of {len(expected)} {split} rows otherwise than the run did, so that "
            "it was not exported; the run was measured with the hardware and versions in its task.lock.yaml\n"
            + "\n".join(different[:SHOWN]),
            Exit.DATA,
        )
    return Checked(split=split, rows=len(expected), equal=len(expected))


def answers_of(folder: Path, texts: Sequence[str], devices: Devices) -> list[str]:
    """Answers by the bundle's own predict.py, in a process of its own.

    Raises:
        UserError: it fails; the message has the end of what it said.
    """
    with tempfile.TemporaryDirectory(prefix="autoadapt-check-") as place:
        rows = Path(place) / "rows.jsonl"
        rows.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
        script = folder / "predict.py"
        alone = ["-I", "-c", WITHOUT_AUTOADAPT, str(script), str(rows), "--device", devices.accelerator]
        command = alone if script.is_file() else ["-c", BY_AUTOADAPT, str(folder), str(rows)]
        done = subprocess.run(
            [sys.executable, "-B", *command],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, **device_environment(devices), "HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"},
            cwd=place,
        )
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise UserError(f"the bundle fails when it is asked, so that it was not exported:\n{last}", Exit.ENVIRONMENT)
    return [str(json.loads(line)["answer"]) for line in done.stdout.split("\n") if line]  # not at U+2028


def expected_answers(parts: Sequence[PartSource], cascade: Handover | None, labels: Sequence[str]) -> list[str]:
    """What the run answered; of a cascade, what its parts' stored answers and confidences come to.

    Args:
        parts: of the option.
        cascade: how it passes rows on; None: it is one trial.
        labels: of the task; empty for free text.
    """
    answers = [[str(line["answer"]) for line in part.predictions] for part in parts]
    if cascade is None:
        return answers[0]
    sure = calibrated(sure_of(parts[0], labels), cascade.temperature) >= cascade.threshold
    return [first if kept else second for kept, first, second in zip(sure, *answers, strict=True)]


def sure_of(part: PartSource, labels: Sequence[str]) -> SureRows:
    """How sure a part was of its answers, as the run has stored it.

    Raises:
        UserError: it did not store it.
    """
    numbers = {label: i for i, label in enumerate(labels)}
    lines = part.predictions
    score = np.zeros(len(lines))
    if labels and all(len(line.get("log_probs", ())) == len(labels) for line in lines):
        log_probs = np.array([line["log_probs"] for line in lines], dtype=float)
        answer = np.array([numbers[line["answer"]] for line in lines])
        return SureRows(np.exp(log_probs.max(axis=1)), score, log_probs, answer=answer)
    if any(line.get("confidence") is None for line in lines):
        raise UserError(f"{part.artifact.parent}: the confidences of its answers are missing", Exit.DATA)
    return SureRows(np.array([line["confidence"] for line in lines], dtype=float), score)


def run_devices(own: Devices, lock: dict[str, Any]) -> Devices:
    """This machine's devices, with as many threads as one slot of the run had, by which sums are rounded alike."""
    threads = (lock.get("hardware") or {}).get("threads")
    accelerator = (lock.get("hardware") or {}).get("accelerator", own.accelerator)
    return own.model_copy(
        update={
            "threads": threads if isinstance(threads, int) and threads > 0 else own.threads,
            "accelerator": "cpu" if "cpu" in (accelerator, own.accelerator) else "cuda",
        }
    )
