"""Before the search: probe, plan, and simulation in virtual time."""
