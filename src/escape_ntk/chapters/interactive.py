"""Figures that the reader moves, without kernel or network: numbers and a static frame as HTML.

Scripts in book/_static, one for each figure and of its name, give the frames their controls.
"""

from escape_ntk.chapters.directions.widget import moves
from escape_ntk.chapters.sample_complexity.widget import parts

__all__ = ["moves", "parts"]
