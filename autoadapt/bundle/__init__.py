"""What leaves the house: an option as one folder, checked against what was measured, loaded and asked."""
