"""What the terminal shows of a bundle that was exported."""

from pathlib import Path

from rich.console import Console

from autoadapt.bundle.description import BundleDescription
from autoadapt.display.terminal.plain_text import plain


def print_exported(folder: Path, description: BundleDescription) -> None:
    """Says what a bundle holds, and that it answers as the run did.

    Args:
        folder: of the bundle.
        description: of the bundle.
    """
    console = Console(highlight=False)
    parts = ", then ".join(f"{part.method} on {part.base_model}" for part in description.parts)
    final = ", as its final fit has trained it" if any(part.final_fit for part in description.parts) else ""
    console.print(plain(f"{folder}: option {description.option} ({parts}){final}"))
    quality, checked = description.quality, description.checked
    console.print(
        f"{description.metric.name} {quality.value:.3f} [{quality.low:.3f}, {quality.high:.3f}] on {quality.rows} "
        f"{quality.split} rows."
    )
    if checked is None:
        console.print("Not checked against the run: a server's answers are billed, and need not be the same twice.")
        return
    alone = "predict.py" in description.files
    how = "by its own predict.py in a process without AutoAdapt" if alone else "in a process of its own"
    console.print(
        f"Checked: {checked.equal} of {checked.rows} answers to {checked.split} rows equal those of the run, {how}."
    )
    megabytes = sum(file.bytes for file in description.files.values()) / 1e6
    console.print(f"{len(description.files) + 1} files, {megabytes:.1f} MB.")
