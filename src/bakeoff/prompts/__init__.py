"""Prompt sets, the seeded sample that a run uses, and readers of rows."""
