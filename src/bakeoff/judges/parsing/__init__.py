"""Parsers of judges' replies: JSON, rubrics, marks and scores."""
