"""A figure that is drawn with matplotlib, which needs no browser, and written as PNG, SVG or PDF."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autoadapt.errors import Exit, UserError
from autoadapt.files import output_file, output_target

FORMATS = (".png", ".svg", ".pdf")


@contextlib.contextmanager
def static_page(path: Path, size: tuple[float, float], settings: Mapping[str, Any]) -> Iterator[Any]:
    """Gives an empty `matplotlib.figure.Figure` and writes it when it is drawn.

    Args:
        path: of the file; its suffix gives its format.
        size: width and height in inches.
        settings: of matplotlib, while it is drawn.

    Raises:
        UserError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(
            f"{path}: figures in {path.suffix.lower()} need a package: pip install 'autoadapt[research]'",
            Exit.ENVIRONMENT,
        ) from error
    # names of options and studies are text, whatever they contain
    with rc_context({"svg.fonttype": "none", "text.parse_math": False, **settings}):
        page = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(page)
        output_target(path)  # before anything is drawn
        yield page
        with output_file(path) as target:
            # without a date, so that the same runs give the same file
            metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower())
            page.savefig(target, dpi=300, metadata=metadata)
