"""Texts in messages: inert, without secrets, not too long."""

import pytest

from autoadapt.errors import UserError
from autoadapt.registry import expanded
from autoadapt.shown_text import fit_to_show, printable


@pytest.mark.parametrize(
    "secret",
    [
        "hf_" + "a" * 20,
        "sk-" + "a" * 20,
        "sk-proj-" + "a-" * 20,
        "AIza" + "a" * 35,
        "ghp_" + "a" * 20,
        "AKIA" + "A" * 16,
        "gsk_" + "a" * 20,
        "glpat-" + "a" * 20,
    ],
)
def test_message_shows_no_key(secret: str) -> None:
    assert str(UserError(f"wrong: '{secret}', see there")) == "wrong: '(a secret)', see there"


def test_message_shows_no_password_of_a_url() -> None:
    assert fit_to_show("postgresql://me:word@host/db: no") == "postgresql://me:***@host/db: no"


def test_message_shows_a_reference_in_place_of_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOADAPT_TEST_KEY", "the value of the key")
    text = expanded("${AUTOADAPT_TEST_KEY}/x")
    assert text == "the value of the key/x"
    assert str(UserError(f"{text}: no such file")) == "${AUTOADAPT_TEST_KEY}/x: no such file"


def test_message_is_inert_and_keeps_its_lines() -> None:
    assert str(UserError("a\x1b[31m\n  b\x9b\r")) == "a?[31m\n  b??"
    assert printable("\ud800") == "?"


def test_long_word_is_cut() -> None:
    assert str(UserError(f"{'x' * 5000}: no such file")) == f"{'x' * 100}... no such file"
