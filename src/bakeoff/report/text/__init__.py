"""The summary as lines of text, shared by the terminal, the report and notebooks."""
