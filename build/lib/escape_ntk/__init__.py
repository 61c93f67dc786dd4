"""escape-ntk: the NTK, its second-order companion, and the directions that join them."""

__version__ = "0.1.0"
