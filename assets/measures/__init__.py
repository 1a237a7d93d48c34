"""SQL tables become assets; how sure a mean is, and what a study wants to be warned of."""
