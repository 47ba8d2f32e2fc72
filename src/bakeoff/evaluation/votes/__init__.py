"""Votes of people: which pairs they are shown, the vote file, and votes as judgments."""
