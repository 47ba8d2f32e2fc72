"""Statistics: pure functions from numbers to the result types of `bakeoff.stats.results`."""
