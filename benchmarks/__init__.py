"""What the package costs, beside its peers, in one process and in turns."""
