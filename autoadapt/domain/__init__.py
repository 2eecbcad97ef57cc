"""The words, in the order in which they flow; pydantic and the standard library, touches no disk."""
