"""QuadNTK: what the second-order term learns alone."""
