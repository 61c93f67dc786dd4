"""Joint learning: the explicit W*, its price, and the gap."""

from escape_ntk.study.chapter import Chapter

chapter = Chapter(__name__, 7)
