"""What the terminal shows of bundles: what was exported, and what labelled rows show."""

import sys
from pathlib import Path

from rich.table import Table
from rich.text import Text

from autoadapt.bundle.description import BundleDescription
from autoadapt.bundle.documents import onnx_text
from autoadapt.display.terminal.plain_text import plain, terminal
from autoadapt.display.text import with_interval
from autoadapt.domain.evaluation import Evaluation
from autoadapt.verdict.comparisons import LEVEL, difference_text


def print_exported(folder: Path, description: BundleDescription) -> None:
    """Says what a bundle holds, and that it answers as the run did.

    Args:
        folder: of the bundle.
        description: of the bundle.
    """
    console = terminal()
    final = ", as its final fit has trained it" if any(part.final_fit for part in description.parts) else ""
    console.print(plain(f"{folder}: option {description.option} ({description.parts_text}){final}"))
    checked = description.checked
    console.print(f"{description.quality_text}.")
    if checked is None:
        console.print("Not checked against the run: a server's answers are billed, and need not be the same twice.")
        return
    alone = "predict.py" in description.files
    how = "by its own predict.py in a process without AutoAdapt" if alone else "in a process of its own"
    console.print(
        f"Checked: {checked.equal} of {checked.rows} answers to {checked.split} rows equal those of the run, {how}."
    )
    if description.onnx is not None:
        console.print(onnx_text(description.onnx))
    megabytes = sum(file.bytes for file in description.files.values()) / 1e6
    console.print(f"{len(description.files) + 1} files, {megabytes:.1f} MB.")


def print_started(url: str, description: BundleDescription) -> None:
    """Says what a server answers by, where, and what was measured of it.

    Args:
        url: of the server.
        description: of the bundle.
    """
    console = terminal(soft_wrap=True)
    figures = description.figures
    console.print(plain(f"{description.task}: option {description.option}, {description.parts_text}"))
    console.print(f"{description.quality_text}.")
    measured = [] if figures.latency_p95_ms is None else [f"95 % of answers within {figures.latency_p95_ms:.4g} ms"]
    if figures.requests_per_s is not None:
        measured.append(f"up to {figures.requests_per_s:.4g} requests/s")
    if measured:
        kind = f" on {description.hardware['kind']}" if description.hardware.get("kind") else ""
        console.print(plain(f"Measured by the search{kind}, without HTTP: {'; '.join(measured)}."))
    console.print(
        plain(f"{url}  POST /predict and /v1/chat/completions, GET /healthz and /metrics, / is a page to try.")
    )
    sys.stdout.flush()  # a supervisor that reads this line through a pipe waits for it


def print_evaluation(evaluation: Evaluation) -> None:
    """Prints quality with its interval, per label, and the difference of two bundles."""
    console = terminal()
    for note in evaluation.notes:
        console.print(plain(note))
    for one in (evaluation.first, evaluation.second):
        if one is not None:
            quality = with_interval(one.quality, (one.low, one.high))
            line = f"{one.name} (option {one.option}): {evaluation.metric} {quality} on {evaluation.rows:,} rows"
            console.print(plain(f"{line}; {one.exported_quality:.3f} when it was exported."))
            for part in one.parts:
                console.print(plain(f"  {part.name}: {part.score:.3f} on {part.rows:,} rows"))
    if evaluation.first.labels:
        console.print(_label_table(evaluation))
    compared = evaluation.compared
    if compared is None:
        return
    shown = "no difference is shown" if compared.p >= LEVEL else "a difference is shown"
    console.print(
        f"The first against the second: {difference_text(compared.difference, compared.low, compared.high)}, "
        f"p {compared.p:.2g}: {shown}."
    )
    console.print(
        f"{compared.both_right:,} rows right by both, {compared.first_alone:,} by the first alone, "
        f"{compared.second_alone:,} by the second alone, {compared.both_wrong:,} by neither."
    )


def _label_table(evaluation: Evaluation) -> Table:
    second = {one.label: one for one in evaluation.second.labels} if evaluation.second is not None else {}
    table = Table(box=None, pad_edge=False)
    for name in ("label", "rows", "right [95 %]", *(["second [95 %]"] if second else [])):
        table.add_column(name, justify="left" if name == "label" else "right")
    for one in evaluation.first.labels:
        cells: list[str | Text] = [plain(one.label), f"{one.rows:,}", with_interval(one.right, (one.low, one.high))]
        if second:
            other = second[one.label]
            cells.append(with_interval(other.right, (other.low, other.high)))
        table.add_row(*cells)
    return table
