"""Judges that compare two completions; each is found through its entry point."""
