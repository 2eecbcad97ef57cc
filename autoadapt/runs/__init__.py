"""What a run leaves on disk or in a database, and how it is read again."""
