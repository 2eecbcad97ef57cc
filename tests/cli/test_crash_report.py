"""What is kept of an internal error: where it happened, and no text of its message, which may quote a user's data."""

import sys
from pathlib import Path
from typing import NoReturn

import pytest

from autoadapt.cli import main as cli
from autoadapt.cli.main import crash_report

ROW = "a row " + "of the user's data"


def raise_it() -> NoReturn:
    raise ValueError(ROW)


def raise_from_it() -> NoReturn:
    try:
        raise_it()
    except ValueError as error:
        raise KeyError(ROW) from error


def raise_while_handling_it() -> NoReturn:
    try:
        raise_it()
    except ValueError:
        raise KeyError(ROW)  # noqa: B904 - a context without a cause


def report_of(function: object) -> str:
    with pytest.raises(Exception) as caught:
        function()  # type: ignore[operator]
    caught.value.add_note(ROW)
    return crash_report(caught.value)


@pytest.mark.parametrize("function", [raise_it, raise_from_it, raise_while_handling_it])
def test_crash_report_holds_no_message(function: object) -> None:
    assert ROW not in report_of(function)


def test_crash_report_names_error_and_place() -> None:
    report = report_of(raise_it)
    assert "builtins.ValueError" in report
    assert "in raise_it" in report
    assert Path(__file__).name in report


@pytest.mark.parametrize("function", [raise_from_it, raise_while_handling_it])
def test_crash_report_names_the_errors_that_led_to_it(function: object) -> None:
    report = report_of(function)
    assert "builtins.KeyError" in report
    assert "builtins.ValueError" in report


def test_crash_report_of_errors_that_refer_to_each_other() -> None:
    one, other = ValueError(ROW), KeyError(ROW)
    one.__context__, other.__context__ = other, one
    assert crash_report(one).count("builtins.") == 2


def test_crash_report_file_of_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(cli, "app", lambda **_: raise_it())
    monkeypatch.setattr(sys, "argv", ["autoadapt"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    (file,) = tmp_path.glob("autoadapt-crash-*.txt")
    assert str(file) in capsys.readouterr().err
    assert ROW not in file.read_text()
    assert "builtins.ValueError" in file.read_text()
