"""Landscape: why gradient descent gets there."""
