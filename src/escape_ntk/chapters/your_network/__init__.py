"""Use it on your own network."""
