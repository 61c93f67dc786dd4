"""A standard network on a dense plus a sparse target."""

from escape_ntk.study.chapter import Chapter

chapter = Chapter(__name__, 12)
