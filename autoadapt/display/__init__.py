"""What a person sees: events, tables and the live view (the only room with rich)."""
