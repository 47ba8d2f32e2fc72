"""Judges that compare pairs: each file is one kind, found through its entry point."""
