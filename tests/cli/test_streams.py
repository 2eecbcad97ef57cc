"""Standard streams of the command line that are full, closed or left by their reader, and a Ctrl-C at its start."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import call

from autoadapt.__main__ import interrupts_heard
from autoadapt.display.terminal import streams
from autoadapt.display.terminal.streams import OutputLostError, inert_streams

COMMAND = f"{sys.executable} -m autoadapt schema"


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (f"{COMMAND} > /dev/full", 4, "standard output cannot be written (No space left on device)"),
        (f"{COMMAND} >&-", 0, ""),
        (f"{COMMAND} <&- >&- 2>&-", 0, ""),
        (f"{COMMAND} 2> /dev/full", 0, ""),
        (f"{{ {COMMAND}; echo ended with $? >&2; }} | true", 0, "ended with 0"),
    ],
)
def test_stream_that_takes_nothing_is_no_bug(line: str, code: int, said: str) -> None:
    ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr


def test_first_file_that_is_opened_does_not_become_the_output() -> None:
    """A process that was started without a standard output gives its number to the first file that it opens."""
    code = (
        "import sys\nfrom autoadapt.display.terminal.streams import inert_streams\n"
        "with inert_streams():\n    opened = open(sys.argv[1], 'w')\n    print('printed')\nopened.close()\n"
    )
    file = Path(os.environ.get("TMPDIR", "/tmp")) / f"opened-{os.getpid()}"
    try:
        subprocess.run(["bash", "-c", f'{sys.executable} -c "$0" {file} >&-', code], check=True, timeout=60)
        assert file.read_text() == ""
    finally:
        file.unlink(missing_ok=True)


def test_printed_text_is_inert_and_drawn_text_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with inert_streams():
        print("a \x1b[31mred\x07 \u202eturned\ud800\n\tline")
        streams.drawn(sys.stdout).write("\x1b[1mbold\x1b[0m")
    assert capsys.readouterr().out == "a ?[31mred? ?turned?\n\tline\n\x1b[1mbold\x1b[0m"


def test_lost_output_is_no_error_of_the_operating_system() -> None:
    """Libraries end the process with 1 where they find an OSError of a pipe."""
    assert not issubclass(OutputLostError, OSError)


def test_refusals_of_the_operating_system_are_no_bugs(monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from autoadapt.cli import main as cli

    for number, code in ((errno.ENOSPC, 4), (errno.EROFS, 4), (errno.EMFILE, 4), (errno.ELOOP, 2), (errno.EBADF, 1)):

        def refused(number: int = number, **_: object) -> None:
            raise OSError(number, os.strerror(number), "/some/file")

        monkeypatch.setattr(cli, "app", refused)
        ended = call()
        assert ended.returncode == code, ended.stderr
        assert "/some/file" in ended.stderr
        assert os.strerror(number) in ended.stderr


class Finalized:
    """Its finalizer is interrupted."""

    def __del__(self) -> None:
        raise KeyboardInterrupt


def test_interrupt_that_python_drops_is_heard() -> None:
    def drop_one() -> None:
        Finalized()
        time.sleep(30)

    with interrupts_heard(), pytest.raises(KeyboardInterrupt):
        drop_one()


def test_interrupt_while_the_command_line_is_imported_ends_without_a_traceback() -> None:
    code = (
        "import _thread, builtins, sys\nimport autoadapt.__main__ as command\n"
        "imports = builtins.__import__\n"
        "def interrupted(name, *rest):\n"
        "    if name == 'typer':\n        raise KeyboardInterrupt\n"
        "    return imports(name, *rest)\n"
        "builtins.__import__ = interrupted\ncommand.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
