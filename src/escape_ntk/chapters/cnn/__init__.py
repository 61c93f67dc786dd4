"""A convolutional network beside its Taylor models."""

from escape_ntk.study.chapter import Chapter

chapter = Chapter(__name__, 13)
