"""Gradient flow and descent, what they record, curvature along them, and runs that resume."""
