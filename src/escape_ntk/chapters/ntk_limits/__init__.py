"""NTK limits: what no kernel can learn."""

from escape_ntk.study.chapter import Chapter

chapter = Chapter(__name__, 2)
