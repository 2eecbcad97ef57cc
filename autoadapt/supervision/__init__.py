"""Leases, time limits, retries and replacement of workers, the same for every executor."""
