"""Runs in a browser on this machine: listed, watched while they go on, compared, voted on.

Reads what runs wrote, and changes nothing but by votes.
"""

from bakeoff.web.viewer.serve import serve_async

__all__ = ["serve_async"]
