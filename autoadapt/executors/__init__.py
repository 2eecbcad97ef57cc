"""Where jobs run: one file per launcher of workers, and the supervisor of them all."""
