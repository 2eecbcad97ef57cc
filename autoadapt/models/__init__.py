"""Families of base models: one file or folder per family."""
