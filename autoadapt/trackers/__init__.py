"""Where trials are reported in addition to the run folder, off by default: one file per tracker."""
