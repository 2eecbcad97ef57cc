"""Executors: one file per way to launch workers. What happens to jobs there is the supervisor's (`supervision/`)."""
