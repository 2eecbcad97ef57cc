"""Tables, lines and the live view on a terminal (rich)."""
