"""The types that the rooms exchange; pydantic and the standard library alone, touches no disk."""
