"""Replicas of a local model on a Ray cluster."""
