"""The self-contained HTML page of results."""
