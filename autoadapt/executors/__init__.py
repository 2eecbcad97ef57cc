"""Where jobs run: one file per way to launch workers. Time limits and retries are those of `supervision/`."""
