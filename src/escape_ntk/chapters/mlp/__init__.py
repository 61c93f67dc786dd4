"""A standard network on a dense plus a sparse target."""
