"""One job to one outcome: fit, then measure; it never raises and imports no torch by itself."""
