"""The search: ask a candidate, run it, tell its objectives, until the budget ends."""
