"""Backends that complete prompts, found through their entry points, and what they share."""
