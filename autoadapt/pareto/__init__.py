"""Dominance, hypervolume and attainment, for any number of objectives."""
