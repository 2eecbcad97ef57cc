"""Where trials are told besides the run folder, off by default: one file per tracker."""
