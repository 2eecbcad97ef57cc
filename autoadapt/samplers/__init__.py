"""How the next candidate is chosen: one file per sampler, each of which returns an Optuna sampler."""
