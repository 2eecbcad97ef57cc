"""What happens inside one trial: fit, then measure; it never raises."""
