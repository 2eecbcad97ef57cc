"""Numbers, names and parameters as text, for terminal, report and notebooks."""

import math
from collections.abc import Iterable
from typing import Any

from autoadapt.domain.option import Option
from autoadapt.economics.rates import least_samples

MINOR_PARAMETERS = {"warmup_ratio", "weight_decay", "lora_dropout", "lora_alpha"}
"""Left out of tables; files have all parameters."""
FEW_SECONDS = 5
"""Estimates below are not told apart."""


def dollars(value: float) -> str:
    """USD with at least two significant figures, never with an exponent."""
    if value >= 1 or value == 0:
        return f"{value:.2f}" if value else "0"
    places = 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{places}f}"


def money(value: float, less: str = "less than a cent") -> str:
    """A bill: whole cents, whole dollars from a hundred on.

    Args:
        value: USD.
        less: what is said of less than a cent.
    """
    if 0 < value < 0.005:
        return less
    return f"${value:,.0f}" if value >= 100 else f"${value:,.2f}"


def with_interval(value: float, interval: tuple[float, float]) -> str:
    """Such as ``0.812 [0.750-0.861]``."""
    return f"{value:.3f} [{interval[0]:.3f}-{interval[1]:.3f}]"


VALIDATION_NOTE = (
    "v: on validation rows, by which the search chose, so that it is a little too high; else on test rows."
)


def quality_text(option: Option, interval: bool = False) -> str:
    """Quality on test rows, or on validation rows with a mark that `VALIDATION_NOTE` explains.

    Args:
        option: of a study.
        interval: whether its 95 % interval is added.
    """
    value, ends = option.best_known_quality
    mark = "v " if option.test_quality is None else ""
    return mark + (with_interval(value, ends) if interval else f"{value:.3f}")


def validation_note(options: Iterable[Option]) -> str:
    """What the mark of `quality_text` means; empty: every option was scored on test rows."""
    return VALIDATION_NOTE if any(option.test_quality is None for option in options) else ""


def duration(seconds: float) -> str:
    """Such as ``3 min 05 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def about(seconds: float) -> str:
    """An estimate without false precision, such as ``12 min``, ``3 min 20 s``, ``a few seconds``."""
    if seconds < FEW_SECONDS:
        return "a few seconds"
    step = 5 if seconds < 60 else 10 if seconds < 600 else 60
    rounded = round(seconds / step) * step
    return f"{rounded // 60} min" if 60 <= rounded < 3600 and rounded % 60 == 0 else duration(rounded)


def too_few(percent: float = 95) -> str:
    """The cell of a percentile that too few samples were measured for."""
    return f"n/a (needs {least_samples(percent)} samples)"


def p95_text(option: Option) -> str:
    """The 95th percentile of latency in milliseconds, if there are enough samples; marked where a network is in it."""
    if option.latency_p95_ms is None:
        return too_few()
    return f"{option.latency_p95_ms:.1f}{' (network)' if option.network else ''}"


def value_text(value: Any) -> str:
    """A parameter's value: a number between a thousandth and a million without an exponent."""
    if not isinstance(value, float):
        return str(value)
    rounded = float(f"{value:.2g}")
    return f"{rounded:g}" if abs(rounded) < 1e6 else f"{rounded:.2g}"


def params_text(option: Option) -> str:
    """The main parameters in one line, with the recall of a shortlist of labels and that of passages."""
    params = " ".join(f"{k}={value_text(v)}" for k, v in option.params.items() if k not in MINOR_PARAMETERS)
    recalls = []
    if option.shortlist_recall is not None:
        recalls.append(f"the right label is offered for {option.shortlist_recall:.1%} of validation rows")
    if option.retrieval_recall is not None:
        recalls.append(f"an answer stands in the passages for {option.retrieval_recall:.1%} of validation rows")
    return f"{params} ({'; '.join(recalls)})" if recalls else params
