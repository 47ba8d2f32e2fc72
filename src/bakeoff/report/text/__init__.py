"""The summary as lines of text, for the terminal, the page and notebooks."""
