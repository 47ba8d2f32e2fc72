"""Numbers in, numbers out: pure functions that know no models and no judges."""
