"""AutoAdapt: prompt, LoRA or full fine-tuning, decided by one search over accuracy, cost and latency."""

__version__ = "0.1.0"
