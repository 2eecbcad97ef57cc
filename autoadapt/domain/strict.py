"""StrictModel: what every value read from a file is built from; and money."""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer


def _to_decimal(value: object) -> object:
    # strict Decimal refuses YAML's ints and floats; str() keeps 2.69 exactly as written
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


Usd = Annotated[
    Decimal,
    BeforeValidator(_to_decimal),
    PlainSerializer(float, when_used="json"),
    Field(ge=0, allow_inf_nan=False),
]


class StrictModel(BaseModel):
    """Base of everything read from a file: frozen, strict types, unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
