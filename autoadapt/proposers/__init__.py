"""Who writes instructions during a search: one file per proposer."""
