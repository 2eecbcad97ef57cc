"""A third-party method that fails in the way its parameter says: how tests bring about real faults."""

import errno
import os
import signal
import time
from typing import ClassVar, NoReturn

from pydantic import BaseModel

from autoadapt.domain.params import PromptedParams
from autoadapt.domain.plugins import Adapted, Context, Method


class FaultyParams(PromptedParams):
    """What goes wrong."""

    fault: str
    """killed, killed_once, hang, oom, oom_once, nan, exit, slow, disk or none."""


def _killed(context: Context) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _out_of_memory(context: Context) -> None:
    import torch

    torch.empty(10**15)


def _nan(context: Context) -> NoReturn:
    from autoadapt.training.loop import LossNotFiniteError

    raise LossNotFiniteError("the loss became nan")


def _slow(context: Context) -> None:
    for _ in range(100):
        time.sleep(0.1)
        context.tick()


def _disk(context: Context) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


FAULTS = {
    "killed": _killed,
    "killed_once": lambda context: _killed(context) if context.step.attempt == 0 else None,
    "hang": lambda context: time.sleep(600),
    "oom": _out_of_memory,
    "oom_once": lambda context: _out_of_memory(context) if context.step.micro_batches < 2 else None,
    "nan": _nan,
    "exit": lambda context: os._exit(3),
    "slow": _slow,
    "disk": _disk,
    "none": lambda context: None,
}


class Faulty(Method):
    """Fails, or answers as a prompt would."""

    Params: ClassVar[type[BaseModel]] = FaultyParams
    tunes: ClassVar[bool] = False

    def fit(self, context: Context) -> Adapted:
        from autoadapt.models.causal_lm import adapting
        from autoadapt.methods.prompt import PromptParams

        FAULTS[str(context.step.candidate.params["fault"])](context)
        return adapting.prompt(context, PromptParams(template=context.step.template))
