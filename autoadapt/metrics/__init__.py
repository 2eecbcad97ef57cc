"""How good one answer is: one file per metric."""
