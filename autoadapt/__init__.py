"""AutoAdapt: prompt it, tune it with LoRA or fine-tune it fully? One search over all three.

import autoadapt

study = autoadapt.search("task.yaml")            # or Study.load("runs/support") for one that was run before
study                                            # in a notebook: the recommendation and the frontier
study.trials(), study.frontier()                 # pandas frames
study.figure("frontier").show()                  # plotly
study.recommend(latency_p95_ms=400)              # other limits
study.compare({"startup": {"volume": 5000, "hosting": "scale_to_zero"}})
study.report()                                   # report.html
autoadapt.export("runs/support", "bundle")       # one folder to deploy
autoadapt.Bundle.load("bundle").predict(["Where is my parcel?"])
"""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path and {"autoadapt", "autoadapt.worker"} & {*sys.orig_argv}:
    # `python -m` puts the current folder first, where a random.py beside the task would be taken for the library's
    del sys.path[0]

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoadapt.api.check import check
    from autoadapt.api.doctor import doctor
    from autoadapt.api.evaluate import evaluate
    from autoadapt.api.export import export
    from autoadapt.api.frontiers import frontiers
    from autoadapt.api.init import init
    from autoadapt.api.latency import latency
    from autoadapt.api.models import get_model, list_models
    from autoadapt.api.plan import plan
    from autoadapt.api.predict import predict
    from autoadapt.api.prices import prices
    from autoadapt.api.prompts import lint_prompts, list_prompts, save_prompt
    from autoadapt.api.schema import schema
    from autoadapt.api.search import search
    from autoadapt.api.study import Study
    from autoadapt.bundle.loaded import Bundle
    from autoadapt.errors import UserError
    from autoadapt.providers.openai import Server

__version__ = "0.1.0"
__all__ = [
    "Bundle",
    "Server",
    "Study",
    "UserError",
    "__version__",
    "check",
    "doctor",
    "evaluate",
    "export",
    "frontiers",
    "get_model",
    "init",
    "latency",
    "lint_prompts",
    "list_models",
    "list_prompts",
    "plan",
    "predict",
    "prices",
    "save_prompt",
    "schema",
    "search",
]
_MODULES = {
    "Bundle": "autoadapt.bundle.loaded",
    "Server": "autoadapt.providers.openai",
    "Study": "autoadapt.api.study",
    "UserError": "autoadapt.errors",
    **{
        name: f"autoadapt.api.{name}"
        for name in (
            "check",
            "doctor",
            "evaluate",
            "export",
            "frontiers",
            "init",
            "latency",
            "plan",
            "predict",
            "prices",
        )
    },
    "get_model": "autoadapt.api.models",
    "list_models": "autoadapt.api.models",
    "lint_prompts": "autoadapt.api.prompts",
    "list_prompts": "autoadapt.api.prompts",
    "save_prompt": "autoadapt.api.prompts",
    "schema": "autoadapt.api.schema",
    "search": "autoadapt.api.search",
}


def __getattr__(name: str) -> Any:
    # imported on demand, so that `import autoadapt` stays light
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'autoadapt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
