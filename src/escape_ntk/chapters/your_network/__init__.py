"""Use it on your own network."""

from escape_ntk.study.chapter import Chapter

chapter = Chapter(__name__, 14)
