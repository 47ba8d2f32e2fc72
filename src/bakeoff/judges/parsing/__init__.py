"""Parsers of judge replies: JSON, labeled lines, rubrics, marks and log-probabilities."""
