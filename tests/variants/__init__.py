"""What to try of each transformation: one file for each family."""
