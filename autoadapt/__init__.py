"""AutoAdapt: prompt it, tune it with LoRA or fine-tune it fully? One search over all three."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoadapt.study.finished import Study

__version__ = "0.1.0"
__all__ = ["Study", "__version__"]


def __getattr__(name: str) -> Any:
    # imported on demand, so that `import autoadapt` stays light
    if name == "Study":
        from autoadapt.study.finished import Study

        return Study
    raise AttributeError(f"module 'autoadapt' has no attribute {name!r}")
