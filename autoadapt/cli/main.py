"""The command ``autoadapt``: registers the verbs, turns errors into one message and an exit code."""

import errno
import io
import sys
import tempfile
import traceback

import typer

from autoadapt import __version__
from autoadapt.cli.check import check
from autoadapt.cli.compare import compare
from autoadapt.cli.doctor import doctor
from autoadapt.cli.evaluate import evaluate
from autoadapt.cli.export import export
from autoadapt.cli.frontier import frontier
from autoadapt.cli.init import init
from autoadapt.cli.latency import latency
from autoadapt.cli.logs import logs
from autoadapt.cli.models import models
from autoadapt.cli.plan import plan
from autoadapt.cli.predict import predict
from autoadapt.cli.prices import prices
from autoadapt.cli.prompts import prompts
from autoadapt.cli.recommend import recommend
from autoadapt.cli.registry import registry
from autoadapt.cli.report import report
from autoadapt.cli.resume import resume
from autoadapt.cli.schema import schema
from autoadapt.cli.search import search
from autoadapt.cli.serve import serve
from autoadapt.cli.status import status
from autoadapt.cli.stop import stop
from autoadapt.display.terminal.streams import OutputLostError, inert_streams
from autoadapt.errors import Exit, UserError
from autoadapt.shown_text import fit_to_show

app = typer.Typer(
    name="autoadapt",
    help="Prompt it, tune it with LoRA or fine-tune it fully? Searches all three on accuracy, cost and latency.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    """Prompt it, tune it with LoRA or fine-tune it fully? Searches all three on accuracy, cost and latency."""
    if version:
        print(__version__)
        raise typer.Exit


app.command()(init)
app.command()(doctor)
app.command()(plan)
app.command()(search)
app.command()(status)
app.command()(stop)
app.command()(resume)
app.command()(logs)
app.command()(check)
app.command()(report)
app.command()(compare)
app.command()(recommend)
app.command()(frontier)
app.command()(export)
app.command()(predict)
app.command()(evaluate)
app.command()(serve)
app.add_typer(registry, name="registry")
app.command()(latency)
app.add_typer(models, name="models")
app.add_typer(prompts, name="prompts")
app.command()(prices)
app.command()(schema)


WRONG_PATH = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT}
"""Errors of the operating system that another path would end."""
LACK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOMEM}
LACK |= {errno.EMFILE, errno.ENFILE}
"""Errors that the environment must end: no room, no right, no memory, too many open files."""


def main() -> None:
    """Runs the command line and exits the process."""
    try:
        with inert_streams():
            code = _code()
    except OutputLostError as error:
        if not error.reader_left:
            sys.stderr.write(f"autoadapt: {error}\n")
        code = Exit.OK if error.reader_left else Exit.ENVIRONMENT
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    sys.exit(code)


def _code() -> int:
    """Runs the command line; returns its exit code after what went wrong was written to stderr."""
    try:
        ended = app(standalone_mode=False)
        return ended if isinstance(ended, int) else Exit.OK
    except UserError as error:
        return _told(error)
    except typer.TyperException as error:  # of the command line's own syntax
        return _misused(error)
    except typer.Abort:
        return _told(UserError("the input has ended before it was all said"))
    except OSError as error:
        return _told(_refused(error)) if error.errno in WRONG_PATH | LACK else _bug(error)
    except MemoryError:
        return _told(UserError("there is not enough memory", Exit.ENVIRONMENT))
    except (KeyboardInterrupt, OutputLostError):
        raise
    except Exception as error:  # noqa: BLE001 - a bug: kept in a file, reported in a line
        return _bug(error)


def _misused(error: typer.TyperException) -> int:
    """Says what is wrong with the command line, with the usage of the command where the error knows which one it is."""
    show = getattr(error, "show", None)
    if show is None or getattr(error, "ctx", None) is None:
        return _told(UserError(error.format_message()))
    message = io.StringIO()
    show(message)
    sys.stderr.write(fit_to_show(message.getvalue()))
    return error.exit_code


def _told(error: UserError) -> int:
    sys.stderr.write(f"autoadapt: {error}\n")
    return error.code


def _refused(error: OSError) -> UserError:
    """What the operating system has refused and no other place has explained: a path that cannot be, or no room."""
    from autoadapt.files import is_full_disk  # imports pydantic, which --help need not load

    where = "" if error.filename is None else f"{error.filename}: "
    code = Exit.CONFIG if error.errno in WRONG_PATH else Exit.ENVIRONMENT
    room = "; write to another disk, or make room" if is_full_disk(error) else ""
    return UserError(f"{where}{error.strerror or error}{room}", code)


def _bug(error: Exception) -> int:
    with tempfile.NamedTemporaryFile("w", prefix="autoadapt-crash-", suffix=".txt", delete=False) as crash:
        crash.write(crash_report(error))
    sys.stderr.write(
        fit_to_show(
            f"autoadapt: internal error ({type(error).__name__}: {error}); where it happened is in {crash.name}. "
            "Finished trials are safe."
        )
        + "\n"
    )
    return Exit.BUG


def crash_report(error: BaseException) -> str:
    """Where a bug happened: versions, and the lines of code of the error and of those that led to it.

    Messages are left out, because they may quote rows of the user's data.
    """
    parts = [f"autoadapt {__version__}, Python {sys.version.split()[0]}\n"]
    current: BaseException | None = error
    seen: set[int] = set()
    while current is not None and id(current) not in seen:  # two errors may each be the context of the other
        seen.add(id(current))
        parts += [f"\n{type(current).__module__}.{type(current).__name__}\n"]
        parts += traceback.format_tb(current.__traceback__)
        current = current.__cause__ or current.__context__
    return "".join(parts)


if __name__ == "__main__":
    main()
