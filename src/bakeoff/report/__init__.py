"""Results as terminal output, HTML page, charts, data frames and files."""
