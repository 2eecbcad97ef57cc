"""The search: ask a candidate, run it, tell its objectives, promote, keep within the budget, stop, resume."""
