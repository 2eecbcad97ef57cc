"""Predictions of a candidate before it is measured, and the gain to expect of it."""
