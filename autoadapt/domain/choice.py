"""PluginChoice: a plug-in named in a task, alone or with settings of its own."""

from typing import Any

from pydantic import Field, model_serializer, model_validator

from autoadapt.domain.strict import StrictModel


class PluginChoice(StrictModel):
    """Written as a bare name, ``accuracy``, or as a mapping of one name to its settings, ``{judge: {model: ...}}``."""

    name: str
    """Of the plug-in."""
    settings: dict[str, Any] = Field(default={})
    """Filled into the plug-in's own ``Settings`` model; references ``${NAME}`` stand as they were written."""

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and set(value) != {"name", "settings"} and set(value) != {"name"}:
            if len(value) != 1:
                raise ValueError("give one name, or one name with its settings: {NAME: {setting: value}}")
            name, settings = next(iter(value.items()))
            return {"name": name, "settings": settings or {}}
        return value

    @model_serializer
    def _to_short_form(self) -> Any:
        return {self.name: self.settings} if self.settings else self.name

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        named = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": {"type": "object"}}
        return {"anyOf": [{"type": "string"}, named], "description": cls.__doc__}

    def __str__(self) -> str:
        return self.name
