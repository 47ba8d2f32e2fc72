"""The results viewer: runs in a browser, listed, live, compared and voted on."""

from bakeoff.web.viewer.serve import serve_async

__all__ = ["serve_async"]
