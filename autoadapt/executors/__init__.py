"""Where trials run: one file per executor."""
