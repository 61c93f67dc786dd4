"""Gradient descent end to end."""
