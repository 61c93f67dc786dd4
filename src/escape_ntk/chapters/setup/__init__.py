"""Setup: two-layer networks, their Taylor terms, and random signs."""

from escape_ntk.study.chapter import Chapter

chapter = Chapter(__name__, 1)
