"""Models of what a candidate will be worth, and the gain in hypervolume that it promises (numpy, scipy)."""
