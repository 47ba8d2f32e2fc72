"""What people look at, made from a Results and nothing else."""
