"""The words, in the order in which they flow; no third-party import but pydantic."""
