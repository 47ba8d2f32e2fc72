"""The page on which people vote, on loopback: sessions, routes and its server."""
