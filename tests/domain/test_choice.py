"""PluginChoice: a plug-in named in a task, alone or with settings."""

from typing import Any

import pytest
from pydantic import ValidationError

from autoadapt.domain.choice import PluginChoice


def test_bare_name() -> None:
    assert PluginChoice.model_validate("accuracy") == PluginChoice(name="accuracy", settings={})


def test_name_with_settings() -> None:
    choice = PluginChoice.model_validate({"judge": {"model": "m"}})
    assert choice == PluginChoice(name="judge", settings={"model": "m"})


def test_name_with_empty_settings() -> None:
    assert PluginChoice.model_validate({"judge": None}) == PluginChoice(name="judge")


@pytest.mark.parametrize("written", ["accuracy", {"judge": {"model": "m"}}])
def test_serialized_form_is_read_again(written: Any) -> None:
    choice = PluginChoice.model_validate(written)
    assert PluginChoice.model_validate_json(choice.model_dump_json()) == choice
    assert choice.model_dump(mode="json") == written


def test_references_stay_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOADAPT_TEST_KEY", "value")
    choice = PluginChoice.model_validate({"judge": {"key": "${AUTOADAPT_TEST_KEY}"}})
    assert choice.settings == {"key": "${AUTOADAPT_TEST_KEY}"}


@pytest.mark.parametrize(
    "written",
    [{}, {"a": {}, "b": {}}, ["a"], 3, None, True, {"judge": 5}, {"judge": "m"}, {"judge": ["m"]}, {5: {}}],
)
def test_wrong_form_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError):
        PluginChoice.model_validate(written)
