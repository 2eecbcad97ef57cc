"""The command ``autoadapt``: registers the verbs, turns errors into one message and an exit code."""

import os
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
from autoadapt.cli.models import models
from autoadapt.cli.plan import plan
from autoadapt.cli.predict import predict
from autoadapt.cli.prices import prices
from autoadapt.cli.recommend import recommend
from autoadapt.cli.registry import registry
from autoadapt.cli.report import report
from autoadapt.cli.schema import schema
from autoadapt.cli.search import search
from autoadapt.cli.serve import serve
from autoadapt.errors import Exit, UserError
from autoadapt.files import is_full_disk

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
app.command()(prices)
app.command()(schema)


def main() -> None:
    """Runs the command line and exits the process."""
    try:
        app()
    except UserError as error:
        sys.stderr.write(f"autoadapt: {error}\n")
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.OK)
    except Exception as error:  # noqa: BLE001 - a bug: kept in a file, reported in a line
        if isinstance(error, OSError) and is_full_disk(error):
            named = f"{error.filename}: " if error.filename else ""
            sys.stderr.write(f"autoadapt: {named}{error.strerror}; make room, or write to another disk\n")
            sys.exit(Exit.ENVIRONMENT)
        with tempfile.NamedTemporaryFile("w", prefix="autoadapt-crash-", suffix=".txt", delete=False) as crash:
            crash.write(crash_report(error))
        sys.stderr.write(
            f"autoadapt: internal error ({type(error).__name__}: {error}); where it happened is in {crash.name}. "
            "Finished trials are safe.\n"
        )
        sys.exit(Exit.BUG)


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
