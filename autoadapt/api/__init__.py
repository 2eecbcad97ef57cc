"""What a Python user and the command line call: one file per use case."""
