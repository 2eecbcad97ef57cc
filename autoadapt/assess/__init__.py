"""After the search: re-score, load test, refit, verdict."""
