"""QuadNTK: what the second-order term learns alone."""

from escape_ntk.study.chapter import Chapter

chapter = Chapter(__name__, 3)
