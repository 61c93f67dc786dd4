"""Setup: two-layer networks, their Taylor terms, and random signs."""
