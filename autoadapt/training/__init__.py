"""Training loops, checkpoints and backends (plain torch, DeepSpeed)."""
