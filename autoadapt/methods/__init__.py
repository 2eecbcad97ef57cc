"""Ways to adapt a model: one file per method."""
