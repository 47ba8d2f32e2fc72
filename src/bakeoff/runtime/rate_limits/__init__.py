"""How many requests a server gets, and the queue in front of it."""
