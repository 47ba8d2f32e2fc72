"""Evaluations that other tools made, as evidence: each format has one file, `reading` the list."""
