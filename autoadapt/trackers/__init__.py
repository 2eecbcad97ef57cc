"""Where trials are reported besides the run folder, off by default: one file per tracker."""
