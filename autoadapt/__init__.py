"""AutoAdapt: prompt it, tune it with LoRA or fine-tune it fully? One search over all three."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoadapt.api.study import Study, check, frontiers, init, latency, plan, prices, schema, search
    from autoadapt.errors import UserError
    from autoadapt.providers.openai import Server

__version__ = "0.1.0"
__all__ = [
    "Server",
    "Study",
    "UserError",
    "__version__",
    "check",
    "frontiers",
    "init",
    "latency",
    "plan",
    "prices",
    "schema",
    "search",
]
ELSEWHERE = {"Server": "autoadapt.providers.openai", "UserError": "autoadapt.errors"}


def __getattr__(name: str) -> Any:
    # imported on demand, so that `import autoadapt` stays light
    if name in __all__:
        return getattr(importlib.import_module(ELSEWHERE.get(name, "autoadapt.api.study")), name)
    raise AttributeError(f"module 'autoadapt' has no attribute {name!r}")
