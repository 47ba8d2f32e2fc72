"""The voting page on loopback: session, routes and server."""
