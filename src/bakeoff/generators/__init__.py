"""Models that complete prompts: each file is one backend, found through its entry point."""
