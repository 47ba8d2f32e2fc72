"""Every way to get a judge or a model here: what to write, and what that still needs.

Reads metadata and source files; imports no backend, asks nobody, and shows no key.
"""

from bakeoff.listing.installed import READY
from bakeoff.listing.ways import Way, judge_ways, model_ways

__all__ = ["READY", "Way", "judge_ways", "model_ways"]
