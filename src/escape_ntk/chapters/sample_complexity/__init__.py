"""Sample complexity: how many samples each model needs."""

from escape_ntk.study.chapter import Chapter

chapter = Chapter(__name__, 9)
