"""The loopback web server, the results viewer and the voting page."""
