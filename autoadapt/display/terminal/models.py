"""Base models on this machine."""

from collections.abc import Sequence

from autoadapt.display.terminal.plain_text import plain, terminal
from autoadapt.tasks.listed_models import ListedModel

HEADER = ("model", "family", "parameters", "on disk", "licence", "where")


def print_models(models: Sequence[ListedModel]) -> None:
    """Prints a line per model; for one that is not here, the command that gets it."""
    console = terminal()
    rows = [HEADER, *(_row(model) for model in models)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    for name, family, parameters, size, licence, where in rows:
        cells = (
            f"{name:<{widths[0]}}",
            f"{family:<{widths[1]}}",
            f"{parameters:>{widths[2]}}",
            f"{size:>{widths[3]}}",
            f"{licence:<{widths[4]}}",
            where,
        )
        console.print(plain("  ".join(cells)), soft_wrap=True)


def _row(model: ListedModel) -> tuple[str, str, str, str, str, str]:
    size = "-" if model.bytes is None else f"{model.bytes / 1e6:.0f} MB"
    where = model.folder or f"not here; run: {model.get}"
    return model.name, model.family, _millions(model.parameters), size, model.licence or "see its card", where


def _millions(parameters: int) -> str:
    millions = parameters / 1e6
    return f"{millions / 1000:.1f} B" if millions >= 1000 else f"{millions:.3g} M"
