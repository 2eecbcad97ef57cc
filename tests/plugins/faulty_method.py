"""A third-party method that fails in the way its parameter says: how tests bring about real faults."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, NoReturn

from pydantic import BaseModel

from autoadapt.domain.method import Adapted, Context, Decoding, Method, Model
from autoadapt.domain.params import PromptedParams


class FaultyParams(PromptedParams):
    """What goes wrong."""

    fault: str = "none"
    """What goes wrong: a key of `FAULTS`."""


def _killed(context: Context) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _out_of_memory(context: Context) -> NoReturn:
    raise MemoryError("no memory is left")


def _nan(context: Context) -> NoReturn:
    raise FloatingPointError("the loss became nan")


def _slow(context: Context) -> None:
    for _ in range(100):
        time.sleep(0.1)
        context.tick()


def _exit(context: Context) -> NoReturn:
    sys.stderr.write("a library said \x1b[31mwhy\n\n")
    sys.stderr.flush()
    os._exit(3)


def _disk(context: Context) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _disk_at_end(context: Context) -> None:
    """The disk is full from now on, for this process."""
    from autoadapt.worker import run

    run.write_json = lambda path, value: _disk(context)  # type: ignore[assignment]


def _child(context: Context) -> None:
    """Starts a process of its own, as a method does that asks a server, and hangs."""
    with subprocess.Popen(["sleep", "600"]) as child:
        (context.state / "child").write_text(str(child.pid))
        child.wait()


def _detached(context: Context) -> None:
    """Starts a process in a session of its own, as a server does that shall stay, whose parent ends; and hangs."""
    program = "import subprocess as s; print(s.Popen(['sleep', '600'], stdout=s.DEVNULL, start_new_session=True).pid)"
    (context.state / "child").write_bytes(subprocess.check_output([sys.executable, "-c", program]))
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as child:
        child.wait()


def _killed_in_rename(renames: bool) -> Callable[[Context], None]:
    """Has this process killed before, or after, its outcome gets its name; in the first attempt only."""

    def fault(context: Context) -> None:
        def replace(source: Path, target: Path) -> None:
            if target.name == "outcome.json":
                if renames:
                    os.replace(source, target)
                os.kill(os.getpid(), signal.SIGKILL)
            os.replace(source, target)

        if context.job.attempt == 0:
            Path.replace = replace  # type: ignore[assignment, method-assign]

    return fault


def _deaf(context: Context) -> None:
    """Hears of no signal that can be caught."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    (context.state / "child").write_text(str(os.getpid()))
    time.sleep(600)


FAULTS = {
    "killed": _killed,
    "killed_once": lambda context: _killed(context) if context.job.attempt == 0 else None,
    "hang": lambda context: time.sleep(600),
    "oom": _out_of_memory,
    "oom_once": lambda context: _out_of_memory(context) if context.job.training.micro_batches < 2 else None,
    "nan": _nan,
    "exit": _exit,
    "slow": _slow,
    "disk": _disk,
    "disk_at_end": _disk_at_end,
    "child": _child,
    "detached": _detached,
    "deaf": _deaf,
    "killed_before_rename": _killed_in_rename(renames=False),
    "killed_after_rename": _killed_in_rename(renames=True),
    "greedy": lambda context: bytearray(10**9) and None,
    "sys_exit": lambda context: sys.exit(3),
    "none": lambda context: None,
}


class Faulty(Method):
    """Fails, or answers as a prompt would."""

    Params: ClassVar[type[BaseModel]] = FaultyParams
    tunes: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("reads_prompts",)

    def fit(self, context: Context, model: Model) -> Adapted:
        FAULTS[str(context.job.candidate.params.get("fault", "none"))](context)
        return model.prompt(Decoding())
