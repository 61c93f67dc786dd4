"""Good directions: where movements are seen, and where they are not."""
