"""A convolutional network beside its Taylor models."""
