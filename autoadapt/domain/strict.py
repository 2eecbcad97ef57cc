"""StrictModel: what every value read from a file is built from; and money."""

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer


def _to_decimal(value: object) -> object:
    # strict Decimal refuses YAML's ints and floats; str() keeps 2.69 exactly as written
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


Usd = Annotated[
    Decimal,
    BeforeValidator(_to_decimal),
    PlainSerializer(float, when_used="json"),
    Field(ge=0, allow_inf_nan=False),
]


def _possible_path(value: str) -> str:
    if not value:
        raise ValueError("is empty; name a file or a folder, or leave the key out")
    if "\0" in value:
        raise ValueError("holds a NUL character, which no path can")
    if len(value.encode(errors="replace")) > LONGEST_PATH:
        raise ValueError(f"is longer than {LONGEST_PATH:,} bytes, which no path can be")
    if any(len(part.encode(errors="replace")) > LONGEST_NAME for part in value.split("/")):
        raise ValueError(f"a name in it is longer than {LONGEST_NAME} bytes, which no file can have")
    return value


LONGEST_PATH = 4095
LONGEST_NAME = 255
"""Bytes, on Linux and macOS."""
PathText = Annotated[str, AfterValidator(_possible_path)]
"""What may be a path: of a file, a folder, or a name that is looked for as one."""


class StrictModel(BaseModel):
    """Base of everything read from a file: frozen, strict types, unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class PlacedError(ValueError):
    """A mistake in one of the values of a model that only the model as a whole can see.

    Args:
        keys: of that value, from the model on.
        message: what is wrong with it.
    """

    def __init__(self, keys: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.keys = keys
