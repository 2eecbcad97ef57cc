"""A third-party method that fails in the way its parameter says: how tests bring about real faults."""

import os
import signal
import time
from typing import ClassVar

from pydantic import BaseModel

from autoadapt.domain.params import PromptedParams
from autoadapt.domain.plugins import Adapted, Context, Method


class FaultyParams(PromptedParams):
    fault: str
    """killed, hang, oom, nan, exit, slow, leak, disk or none."""


class Faulty(Method):
    Params: ClassVar[type[BaseModel]] = FaultyParams
    tunes: ClassVar[bool] = False

    def fit(self, context: Context) -> Adapted:
        import torch

        from autoadapt.engine import adapting
        from autoadapt.methods.prompt import PromptParams

        fault = context.step.candidate.params["fault"]
        if fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == "killed_once" and context.step.attempt == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == "hang":
            time.sleep(600)
        elif fault == "oom" and context.step.micro_batches < 4:
            torch.empty(10**15)
        elif fault == "oom_once" and context.step.micro_batches < 2:
            torch.empty(10**15)
        elif fault == "nan":
            from autoadapt.engine.training import LossNotFiniteError

            raise LossNotFiniteError("the loss became nan")
        elif fault == "exit":
            os._exit(3)
        elif fault == "slow":
            for _ in range(100):
                time.sleep(0.1)
                context.tick()
        elif fault == "disk":
            import errno

            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return adapting.prompt(context, PromptParams(template=context.step.template))
