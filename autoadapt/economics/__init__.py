"""Costs, prices, rates: what training, serving and owning cost (pure functions of numbers)."""
