"""Prompt sets: where prompts come from, and the seeded sample that a run uses."""
