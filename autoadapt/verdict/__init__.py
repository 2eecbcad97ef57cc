"""Statistics and advice: pure functions of numbers."""
