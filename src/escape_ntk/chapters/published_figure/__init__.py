"""The published figure, run again."""

from escape_ntk.study.chapter import Chapter

chapter = Chapter(__name__, 11)
