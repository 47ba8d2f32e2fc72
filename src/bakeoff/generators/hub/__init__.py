"""Model files: local folders, hub downloads, and which files form a checkpoint."""
