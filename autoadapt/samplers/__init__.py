"""How the next candidate is chosen: one file per sampler, each returns an Optuna sampler."""
