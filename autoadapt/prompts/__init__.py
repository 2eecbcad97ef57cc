"""Rendering prompts in a sandbox; imports no torch."""
