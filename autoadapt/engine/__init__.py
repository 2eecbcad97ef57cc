"""The torch room: load, render, train, answer (the only room with torch and its kin)."""
