"""The search: ask a candidate, run it, tell its objectives, promote, hold the budget, stop, resume."""
