"""The command line: one file per verb; parse, call api, print."""
