"""Joint learning: the explicit W*, its price, and the gap."""
