"""Good directions: where movements are seen, and where they are not."""

from escape_ntk.study.chapter import Chapter

chapter = Chapter(__name__, 4)
