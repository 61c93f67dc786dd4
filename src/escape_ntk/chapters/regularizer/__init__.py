"""The regulariser: four penalties, and what each one does."""

from escape_ntk.study.chapter import Chapter

chapter = Chapter(__name__, 5)
