"""The tangent kernel, finite and infinite, and its spectrum."""
