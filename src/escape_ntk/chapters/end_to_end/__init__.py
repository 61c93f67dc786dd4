"""Gradient descent end to end."""

from escape_ntk.study.chapter import Chapter

chapter = Chapter(__name__, 8)
