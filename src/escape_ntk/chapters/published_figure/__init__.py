"""The published figure, run again."""
