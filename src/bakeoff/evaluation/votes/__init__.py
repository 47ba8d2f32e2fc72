"""Human votes: which pairs are shown, the vote file, and votes as judgments."""
