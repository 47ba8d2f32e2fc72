"""Prompt sets, seeded samples of them, and readers of files and datasets."""
