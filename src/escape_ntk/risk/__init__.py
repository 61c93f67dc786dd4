"""The regularised risk: projectors, leaks, penalties, explicit solutions, bounds."""
