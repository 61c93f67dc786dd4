"""Landscape: why gradient descent gets there."""

from escape_ntk.study.chapter import Chapter

chapter = Chapter(__name__, 6)
