"""Sample complexity: how many samples each model needs."""
