"""Numerical tools that know nothing of networks: polynomials, statistics, Lanczos, RKC."""
